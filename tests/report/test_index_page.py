"""The page of a run."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from mlwb.data import Finding
from mlwb.gates import Decision, Verdict
from mlwb.report import index

Make = Callable[..., index.IndexView]
HOSTILE = "'\"><script>alert(1)</script><img src=http://x>"


class _Page(HTMLParser):
    """Tags, attributes and text of a page, read by the standard library's parser."""

    def __init__(self, source: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.feed(source.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).replace("\u00a0", " ").split())

    def values(self, name: str) -> list[str]:
        return [attrs[name] for _, attrs in self.tags if name in attrs]


def _page(view: index.IndexView) -> _Page:
    return _Page(index.render_index(view))


def test_decision_comes_first(make_view: Make) -> None:
    """The sentence, then the gates, then numbers, reports, commands, and provenance last."""
    text = _page(make_view()).text
    places = [
        text.index(part)
        for part in (
            "✗ PROMOTE: BLOCKED", "Gates: 15 of 16 pass", "Key numbers", "Reports", "What next",
            "Where these numbers come from", "Words used here",
        )
    ]  # fmt: skip
    assert places == sorted(places)
    assert "1 of 16 gates blocks v1.8.1 under policy default: psi ." in text


def test_page_is_self_contained(make_view: Make) -> None:
    """Nothing is loaded, nothing runs: policy for the browser, and nothing to fall foul of it."""
    source = index.render_index(make_view())
    page = _Page(source)
    policy = next(a["content"] for t, a in page.tags if a.get("http-equiv"))
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'")
    assert not {"script", "iframe", "img", "object", "form"} & {tag for tag, _ in page.tags}
    assert page.values("src") == []
    assert not re.findall(rb"https?:|//|@import|url\(", source)
    assert len(source) < 60_000


def test_page_can_be_read_by_everybody(make_view: Make) -> None:
    """Language, one first heading, headings without gaps, a skip link that leads somewhere."""
    page = _page(make_view())
    tags = [tag for tag, _ in page.tags]
    assert ("html", {"lang": "en"}) in page.tags
    assert tags.count("h1") == 1
    assert [tag for tag in tags if re.fullmatch(r"h\d", tag)][:2] == ["h1", "h2"]
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    assert {h[1:] for h in page.values("href") if h.startswith("#")} <= set(ids)
    assert {a["scope"] for t, a in page.tags if t == "th"} == {"col", "row"}


def test_same_view_same_bytes(make_view: Make) -> None:
    """A pure function: no clock, no random ids."""
    assert index.render_index(make_view()) == index.render_index(make_view())


def test_everything_is_escaped(make_view: Make, make_verdict: Callable[..., Verdict]) -> None:
    """Symbols, versions, messages, file names and commands come from outside."""
    market = index.MarketFacts(
        symbol=HOSTILE, rows=1, first_utc=HOSTILE, last_utc="", origin=HOSTILE
    )
    view = make_view(
        run_id=HOSTILE, market=market, champion=HOSTILE, candidate=HOSTILE, policy_name=HOSTILE,
        decision=Decision(False, (f"{HOSTILE}: no",)),
        verdicts=(make_verdict(gate=HOSTILE, waived=HOSTILE),),
        numbers=(index.KeyNumber(name=HOSTILE, value=1.0),),
        reports=(index.ReportLink(title=HOSTILE, file=HOSTILE, status=HOSTILE),),
        provenance=((HOSTILE, HOSTILE),),
        commands=(index.Command(about=HOSTILE, text=HOSTILE),),
        stopped=index.Stopped(step=HOSTILE, error=HOSTILE, message=HOSTILE),
    )  # fmt: skip
    page = _page(view)
    assert not {"script", "img"} & {tag for tag, _ in page.tags}
    assert {name for _, attrs in page.tags for name in attrs if name.startswith("on")} == set()


@pytest.mark.parametrize("file", ["javascript:alert(1)", "//evil.example/x", "/etc/passwd"])
def test_links_stay_beside_the_page(make_view: Make, file: str) -> None:
    """A report's name can neither run anything nor lead to another host or the root."""
    page = _page(make_view(reports=(index.ReportLink(title="x", file=file),)))
    target = next(h for h in page.values("href") if not h.startswith(("#", "data:")))
    assert not target.startswith("/")
    assert ":" not in target


def test_blocking_gates_are_linked_and_marked(make_view: Make) -> None:
    """The sentence leads to the row, and the row says what was expected and measured."""
    page = _page(make_view())
    assert "#gate-psi" in page.values("href")
    assert ("tr", {"id": "gate-psi", "class": "blocks"}) in page.tags
    assert "✗ FAIL < 0.3 PSI, upper 95 % bound of spread_bp: 1.250" in page.text
    assert "signal Is the model better than chance, without leaking? ✓ PASS ≥ 0.62 AUC: 0.660" in (
        page.text
    )


def test_allowed(make_view: Make) -> None:
    """A promotion is as plain as a refusal, and no gate is marked as blocking."""
    page = _page(make_view(decision=Decision(True, ("nightly waived: demo",))))
    assert "△ PROMOTE: READY" in page.text
    assert "the policy waives nightly" in page.text
    assert "blocks" not in page.values("class")


@pytest.mark.parametrize("origin", ["simulated", "replay"])
def test_origin_is_a_badge_with_words(make_view: Make, origin: str) -> None:
    """Simulated numbers cannot be taken for recorded ones."""
    market = make_view().market
    assert market is not None
    text = _page(make_view(market=replace(market, origin=origin))).text
    assert f"{origin.upper()} 129,600 bars, 2026-01-01 00:00 to 2026-03-31 23:59 UTC." in text
    assert ("seeded simulator" in text) is (origin == "simulated")


def test_stopped_run_shows_why(make_view: Make, finding: Finding) -> None:
    """No decision, the step, the message, and what was found in the data."""
    stopped = index.Stopped(
        step="Data check", error="data.rejected", message="coverage is 20 %", findings=(finding,)
    )
    page = _page(make_view(decision=None, verdicts=(), numbers=(), candidate="", stopped=stopped))
    assert "✗ NO DECISION: the run stopped at “Data check” coverage is 20 %" in page.text
    assert (
        "duplicates identical ✗ serious 24,000 <img src=x onerror=alert(1)> stands twice"
        in page.text
    )
    assert "Gates" not in page.text
    assert "STOPPED: SYNTH" in page.text


def test_run_that_knows_nothing(make_view: Make) -> None:
    """A run that broke before its first step still has a page."""
    page = _page(
        make_view(market=None, candidate="", champion="", decision=None, verdicts=(), numbers=(),
                  reports=(), provenance=(), commands=())
    )  # fmt: skip
    assert "STOPPED: Run" in page.text
    assert "nan" not in page.text.lower().split()


def test_gates_not_asked_are_counted(make_view: Make, failed: Verdict) -> None:
    """One verdict of sixteen is not sixteen."""
    assert "Gates: 0 of 1 pass; 15 were not asked" in _page(make_view(verdicts=(failed,))).text


def _card(make_view: Make, **fields: object) -> str:
    number = index.KeyNumber(**({"name": "AUC", "value": 0.661} | fields))  # type: ignore[arg-type]
    text = _page(make_view(numbers=(number,))).text
    return text.split("Key numbers")[1].split("Reports")[0].strip()


def test_card_gives_limit_interval_and_n(make_view: Make) -> None:
    """Value, whether it keeps the limit, 95 % interval and n."""
    limit = {"comparator": ">=", "limit": "0.62", "low": 0.64, "high": 0.68, "n": 20_160}
    assert _card(make_view, **limit) == (
        "There is no earlier run like this one to compare with. "
        "AUC 0.661 ✓ within the limit ≥ 0.62 95 %: 0.640 to 0.680 · n = 20,160"
    )
    assert "✗ misses the limit ≥ 0.62" in _card(make_view, **{**limit, "value": 0.61})


def test_card_on_the_limit_follows_the_gate(make_view: Make) -> None:
    """A strict limit is missed by a value on it, as the gate says, and not by rounding."""
    shown = {"unit": "%", "comparator": "<", "limit": "0.01"}
    assert "✗ misses" in _card(make_view, value=0.01, **shown)
    assert "✓ within" in _card(make_view, value=0.00999, **shown)


def test_card_without_value(make_view: Make) -> None:
    """What was not measured neither keeps nor misses its limit."""
    card = _card(make_view, value=None, comparator="<", limit="80", unit="ms")
    assert card.endswith("AUC not measured limit < 80 ms")


@pytest.mark.parametrize(
    ("previous", "ends", "said"),
    [
        (0.60, (0.64, 0.68), "▲ +0.061, better (was 0.600)"),
        (0.70, (0.64, 0.68), "▼ −0.039, worse (was 0.700)"),
        (0.65, (0.64, 0.68), "▲ +0.011, within the interval (was 0.650)"),
        (0.60, (None, None), "▲ +0.061, up (was 0.600)"),
        (0.6612, (None, None), "= as in the run before (0.661)"),
    ],
)
def test_card_compares_with_the_run_before(
    make_view: Make, previous: float, ends: tuple[float | None, float | None], said: str
) -> None:
    """Better or worse is said only where the interval allows it."""
    low, high = ends
    limit = {"comparator": ">=", "limit": "0.62"}
    assert said in _card(make_view, previous=previous, low=low, high=high, **limit)


def test_shares_change_in_points(make_view: Make) -> None:
    """From 70 % to 72 % is two points, and less of what should be low is better."""
    card = _card(make_view, value=0.02, previous=0.05, unit="%", comparator="<", limit="0.1",
                 low=0.01, high=0.03)  # fmt: skip
    assert "▼ −3.0 points, better (was 5.0 %)" in card
