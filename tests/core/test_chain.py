"""The hash-chained file: what it notices and what it cannot."""

from __future__ import annotations

import hashlib
import json
from itertools import permutations
from pathlib import Path

import pytest

from mlwb.core.chain import GENESIS, Chain, Head
from mlwb.core.errors import BrokenChainError, EvidenceSchemaError


@pytest.fixture
def chain(tmp_path: Path) -> Chain:
    """Three lines, one with text beyond ASCII."""
    chain = Chain(tmp_path / "log.jsonl")
    for body in ({"event": "a", "n": 1}, {"event": "b", "n": 1.5}, {"event": "ş", "n": None}):
        chain.append(body)
    return chain


def test_links_come_back_in_order(chain: Chain) -> None:
    """What was appended is read back with growing numbers, and the head is the last of it."""
    links = chain.links()
    assert [link.seq for link in links] == [1, 2, 3]
    assert [link.body["event"] for link in links] == ["a", "b", "ş"]
    assert chain.head() == links[-1]
    assert chain.problems() == ()


def test_digests_are_what_anyone_can_recompute(chain: Chain) -> None:
    """Oracle: json and hashlib alone reproduce every digest and every link of the chain."""
    before = GENESIS
    for line in chain.path.read_text(encoding="utf-8").splitlines():
        value = json.loads(line)
        named = value.pop("sha256")
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        assert "sha256:" + hashlib.sha256(text.encode()).hexdigest() == named
        assert value["prev"] == before
        before = named


def test_empty_and_missing_chains_are_whole(tmp_path: Path) -> None:
    """No file and an empty file are a chain without links."""
    chain = Chain(tmp_path / "none.jsonl")
    assert (chain.head(), chain.links(), chain.problems()) == (None, (), ())
    chain.path.touch()
    assert (chain.head(), chain.links(), chain.problems()) == (None, (), ())


def test_every_changed_byte_is_noticed(chain: Chain) -> None:
    """Flip any byte anywhere in the file: it is a problem, and reading refuses or loses a tail."""
    data = chain.path.read_bytes()
    for place in range(len(data)):
        chain.path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        assert chain.problems(), f"byte {place} of {len(data)}"


@pytest.mark.parametrize("edit", [(b",", b", "), (b'"n":1.5', b'"n":1.50'), (b"{", b"{ ")])
def test_the_same_value_in_other_bytes_is_noticed(edit: tuple[bytes, bytes], chain: Chain) -> None:
    """A blank or a longer number that parses to the same line is an edit too."""
    chain.path.write_bytes(chain.path.read_bytes().replace(*edit))
    assert {problem.kind for problem in chain.problems()} == {"edited"}


def test_every_removed_line_but_the_last_is_noticed(chain: Chain) -> None:
    """A removed line breaks the chain; the last one is missed only by whoever knows the head."""
    lines = chain.path.read_bytes().splitlines(keepends=True)
    head = chain.head()
    for place in range(2):
        chain.path.write_bytes(b"".join(lines[:place] + lines[place + 1 :]))
        assert [problem.kind for problem in chain.problems()][:1] == ["reordered"]
    chain.path.write_bytes(b"".join(lines[:2]))
    assert chain.problems() == ()
    assert head is not None
    assert [problem.kind for problem in chain.problems([head.as_head])] == ["truncated"]


def test_every_reordering_is_noticed(chain: Chain) -> None:
    """No order but the written one is whole."""
    lines = chain.path.read_bytes().splitlines(keepends=True)
    for order in permutations(range(3)):
        chain.path.write_bytes(b"".join(lines[place] for place in order))
        assert (chain.problems() == ()) == (order == (0, 1, 2))


def test_an_edit_with_its_own_digest_redone_is_noticed(chain: Chain) -> None:
    """Editing a line and recomputing its digest breaks the line after it."""
    lines = chain.path.read_text(encoding="utf-8").splitlines()
    value = json.loads(lines[0])
    del value["sha256"]
    value["n"] = 7
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    value["sha256"] = "sha256:" + hashlib.sha256(text.encode()).hexdigest()
    lines[0] = json.dumps(value, sort_keys=True, separators=(",", ":"))
    chain.path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert [problem.kind for problem in chain.problems()] == ["reordered"]
    with pytest.raises(BrokenChainError, match="line 2"):
        chain.links()


def test_a_torn_tail_is_reported_skipped_and_cut(chain: Chain) -> None:
    """A line cut short by a crash is no link; the next append replaces it."""
    whole = chain.path.read_bytes()
    chain.path.write_bytes(whole + b'{"event":"half')
    assert [problem.kind for problem in chain.problems()] == ["torn"]
    assert len(chain.links()) == 3
    chain.append({"event": "d"})
    assert chain.problems() == ()
    assert [link.body["event"] for link in chain.links()] == ["a", "b", "ş", "d"]


def test_nothing_is_appended_behind_a_damaged_line(chain: Chain) -> None:
    """An edited last line stops the writer: its successor would vouch for it."""
    data = chain.path.read_bytes()
    chain.path.write_bytes(data.replace(b'"n":null', b'"n":true'))
    with pytest.raises(BrokenChainError, match="edited"):
        chain.append({"event": "d"})


def test_a_line_may_not_bring_its_own_place(chain: Chain) -> None:
    """The chain's own keys are refused in a body."""
    for key in ("seq", "prev", "sha256"):
        with pytest.raises(EvidenceSchemaError, match=key):
            chain.append({key: 1})


@pytest.mark.parametrize("line", [b"null", b"[]", b"1", b"{}", b"\xff\xfe", b'{"seq":NaN}', b""])
def test_junk_lines_are_named(chain: Chain, line: bytes) -> None:
    """Anything that is no chained line is a problem, never an exception of the parser."""
    chain.path.write_bytes(line + b"\n" + chain.path.read_bytes())
    assert chain.problems()[0].where == "log.jsonl line 1"


def test_a_place_of_the_wrong_type_is_named(chain: Chain) -> None:
    """A self-consistent line whose number is text is refused, not compared."""
    body = {"event": "a", "prev": GENESIS, "seq": "1"}
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    body["sha256"] = "sha256:" + hashlib.sha256(text.encode()).hexdigest()
    chain.path.write_text(json.dumps(body, sort_keys=True, separators=(",", ":")) + "\n")
    assert [problem.kind for problem in chain.problems()] == ["edited"]


def test_long_lines_are_found_from_the_end(tmp_path: Path) -> None:
    """The head is read right when lines are longer than one block of the file."""
    chain = Chain(tmp_path / "log.jsonl")
    for n in range(3):
        chain.append({"event": "x" * 200_000, "n": n})
    head = chain.head()
    assert head is not None
    assert (head.seq, head.body["n"]) == (3, 2)


def test_a_file_chained_anew_shows_by_a_remembered_line(chain: Chain) -> None:
    """Whoever edits a line and redoes every digest after it has no answer to an older head."""
    heads = [link.as_head for link in chain.links()]
    bodies = [dict(link.body) for link in chain.links()]
    bodies[1]["n"] = 99
    chain.path.unlink()
    for body in bodies:
        chain.append(body)
    assert chain.problems() == ()
    assert chain.problems(heads[:1]) == ()
    assert [problem.kind for problem in chain.problems(heads[1:2])] == ["rechained"]
    found = chain.problems([Head(3, heads[2].sha256, kept_by="the promotion log")])
    assert [str(problem) for problem in found] == [
        "log.jsonl: line 3 is not the one that the promotion log names: chained anew [rechained]"
    ]


def test_a_line_remembered_by_its_digest_alone_must_be_there(chain: Chain) -> None:
    """Whoever knows no number still notices that the line is gone."""
    heads = [Head(0, link.sha256, kept_by="the promotion log") for link in chain.links()]
    assert chain.problems(heads) == ()
    lines = chain.path.read_bytes().splitlines(keepends=True)
    chain.path.write_bytes(b"".join(lines[:2]))
    assert [str(problem) for problem in chain.problems(heads)] == [
        "log.jsonl: the line that the promotion log names is gone: cut, or chained anew [truncated]"
    ]
