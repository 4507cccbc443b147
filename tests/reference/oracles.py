"""Our numbers beside each library's, on the same series, with the reason for every difference.

``python -m tests.reference.oracles`` writes ``docs/oracles.md``; a test holds the page to it.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import statsmodels.api as sm  # type: ignore[import-untyped]
from arch.bootstrap import optimal_block_length
from arch.unitroot import ADF
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score  # type: ignore[import-untyped]
from statsmodels.stats.multitest import multipletests  # type: ignore[import-untyped]
from statsmodels.stats.proportion import proportion_confint  # type: ignore[import-untyped]

from mlwb.backtest import risk
from mlwb.core.arrays import Float1D
from mlwb.core.bars import BAR_FIELDS, MID, TS
from mlwb.core.home import find_project
from mlwb.features import specs
from mlwb.features.batch import compute
from mlwb.model import PurgedKFold, auc, rank_correlation
from mlwb.stats import block_length, holm, wilson
from mlwb.study import stationarity

__all__ = ["PAGE", "Row", "page", "rows", "write"]

PAGE = find_project() / "docs" / "oracles.md"
PEERS = ("arch", "empyrical-reloaded", "purgedcv", "scikit-learn", "scipy", "statsmodels", "TA-Lib")
DAY_S = 86_400
Oracle = Callable[[str], Any]


@dataclass(frozen=True)
class Row:
    """One number computed twice.

    Parameters
    ----------
    what : str
        The quantity, with what it is of.
    ours : float
        Computed by mlwb.
    peer : str
        Library and function.
    theirs : float
        Computed by the peer on the same series.
    why : str
        Reason of the difference; empty where there is none beyond rounding.
    """

    what: str
    ours: float
    peer: str
    theirs: float
    why: str = ""

    @property
    def is_equal(self) -> bool:
        """Equal to nine digits."""
        return abs(self.ours - self.theirs) <= 1e-9 * max(1.0, abs(self.theirs))


def rows(oracle: Oracle) -> list[Row]:
    """Everything that is compared, in the order of the page.

    Parameters
    ----------
    oracle : callable
        Imports a peer library by name.

    Returns
    -------
    list of Row
    """
    return [
        *_features(oracle("talib")),
        *_scores(),
        *_splits(oracle("purgedcv")),
        *_risk(oracle("empyrical")),
        *_tests(),
        *_intervals(),
    ]


def series(seed: int, n: int) -> Float1D:
    """A random walk of log prices with volatility clusters, as prices around 100."""
    rng = np.random.default_rng(seed)
    scale = np.exp(np.convolve(rng.standard_normal(n + 99), np.full(100, 0.08), "valid"))
    return np.asarray(100.0 * np.exp(np.cumsum(5e-4 * scale * rng.standard_normal(n))))


def daily_returns() -> Float1D:
    """Ninety days of returns with a losing first day."""
    rng = np.random.default_rng(5)
    returns = 0.001 + 0.02 * rng.standard_t(5, 90)
    returns[0] = -0.03
    return np.asarray(returns)


def _features(talib: Any) -> Iterator[Row]:
    prices = series(1, 600)
    bars = np.full((len(prices), len(BAR_FIELDS)), np.nan)
    bars[:, TS], bars[:, MID] = np.arange(len(prices)) * 60.0, prices
    ours = compute(specs(["rsi14_z"]), bars)[:, 0] * 30.0 + 50.0
    theirs = talib.RSI(prices, timeperiod=14)
    yield Row("RSI(14), bar 14, the first", ours[14], "TA-Lib RSI", theirs[14])
    yield Row("RSI(14), bar 599", ours[-1], "TA-Lib RSI", theirs[-1])
    flat = bars[:40].copy()
    flat[:, MID] = 100.0
    ours = compute(specs(["rsi14_z"]), flat)[:, 0] * 30.0 + 50.0
    why = "a market that does not move has neither strength: 50 by symmetry, TA-Lib says 0"
    yield Row("RSI(14) of a flat series", ours[-1], "TA-Lib RSI", talib.RSI(flat[:, MID])[-1], why)


def _scores() -> Iterator[Row]:
    rng = np.random.default_rng(2)
    y = (rng.random(2_000) < 0.4).astype(float)
    p = np.round(0.3 * y + rng.random(2_000), 2)
    yield Row("AUC, tied scores", auc(y, p), "scikit-learn roc_auc_score", roc_auc_score(y, p))
    target = rng.standard_normal(2_000) + y
    theirs = float(spearmanr(p, target).statistic)
    yield Row("rank IC, tied scores", rank_correlation(p, target), "scipy spearmanr", theirs)


def _splits(purgedcv: Any) -> Iterator[Row]:
    t0 = np.arange(1_200, dtype=np.int64) * 60
    t0[700:] += 5_400
    t1 = t0 + 900
    stamps, ends = (x.astype("datetime64[s]") for x in (t0, t1))
    ours = [len(s.train) for s in PurgedKFold(t0, t1, n_splits=5, embargo_s=0).splits()]
    peer = purgedcv.PurgedKFold(5, prediction_times=stamps, evaluation_times=ends)
    theirs = [len(train) for train, _ in peer.split(np.zeros((len(t0), 1)))]
    yield Row(
        "rows trained on, purged 5-fold, 15 min labels, a gap",
        sum(ours),
        "purgedcv PurgedKFold",
        sum(theirs),
    )


def _risk(empyrical: Any) -> Iterator[Row]:
    daily = daily_returns()
    found = risk(daily, np.arange(len(daily), dtype=np.int64) * DAY_S)
    theirs = float(empyrical.sharpe_ratio(daily))
    why = "empyrical annualises by 252 trading days; a market without weekends has 365"
    yield Row("Sharpe, annual", found.sharpe, "empyrical sharpe_ratio", theirs, why)
    theirs = float(empyrical.sharpe_ratio(daily, annualization=365))
    yield Row("Sharpe, annual", found.sharpe, "empyrical, annualization=365", theirs)
    theirs = float(empyrical.max_drawdown(daily))
    why = "a fraction of the peak, positive here; both count the loss of the first day"
    yield Row("maximum drawdown", found.max_drawdown, "empyrical max_drawdown", theirs, why)


def _tests() -> Iterator[Row]:
    x = np.diff(np.log(series(3, 2_001)))
    walk = np.cumsum(x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, values in (("returns", x), ("a random walk", walk)):
            ours = stationarity(name, values)
            adf = sm.tsa.stattools.adfuller(values, maxlag=24, regression="c", autolag="AIC")
            yield Row(f"ADF p of {name}", ours.adf_p, "statsmodels adfuller", float(adf[1]))
            kpss = sm.tsa.stattools.kpss(values, regression="c", nlags="auto")
            why = "statsmodels cuts its p at 0.01 and 0.10" if not 0.01 < kpss[1] < 0.10 else ""
            yield Row(f"KPSS p of {name}", ours.kpss_p, "statsmodels kpss", float(kpss[1]), why)
        yield Row(
            "ADF statistic of returns",
            float(ADF(x, max_lags=24, method="aic").stat),
            "statsmodels adfuller",
            float(sm.tsa.stattools.adfuller(x, maxlag=24)[0]),
        )


def _intervals() -> Iterator[Row]:
    x = np.convolve(np.random.default_rng(4).standard_normal(5_009), np.full(10, 0.1), "valid")
    theirs = float(np.ceil(optimal_block_length(x)["circular"].iloc[0]))
    yield Row(
        "block length of a moving average of 10",
        block_length(x),
        "arch optimal_block_length",
        theirs,
    )
    p = np.array([0.003, 0.02, 0.021, 0.4, 0.04])
    theirs = multipletests(p, method="holm")[1]
    yield Row(
        "Holm, second of five", float(holm(p)[1]), "statsmodels multipletests", float(theirs[1])
    )
    low, _ = proportion_confint(3, 50, method="wilson")
    yield Row(
        "Wilson, lower bound of 3 of 50",
        wilson(3, 50)[0],
        "statsmodels proportion_confint",
        float(low),
    )


def page(found: list[Row]) -> str:
    """The page as Markdown."""
    lines = [
        "# The same number in other libraries",
        "",
        "Each row is computed twice on the same series, by mlwb and by a library that is not ours;",
        "a test computes the page again and compares. Equal means to nine digits. Where",
        "definitions differ, the reason is given.",
        "",
        "| number | mlwb | peer | its number | difference |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.what} | {_digits(row.ours)} | {row.peer} | {_digits(row.theirs)} "
        f"| {'none' if row.is_equal else row.why} |"
        for row in found
    ]
    versions = ", ".join(f"{name} {version(name)}" for name in PEERS)
    return "\n".join([*lines, "", f"Compared with {versions}.", ""])


def _digits(x: float) -> str:
    return f"{x:.6g}"


def write() -> None:
    """Write the page; `python -m tests.reference.oracles`."""
    sys.path.append(str(Path(sys.prefix) / "oracles"))
    PAGE.write_text(page(rows(importlib.import_module)), encoding="utf-8")


if __name__ == "__main__":
    write()
