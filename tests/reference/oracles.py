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
from scipy.stats import kurtosis, skew, spearmanr
from sklearn.metrics import roc_auc_score  # type: ignore[import-untyped]
from sklearn.model_selection import KFold  # type: ignore[import-untyped]
from statsmodels.stats.multitest import multipletests  # type: ignore[import-untyped]
from statsmodels.stats.proportion import proportion_confint  # type: ignore[import-untyped]

from mlwb.backtest import risk
from mlwb.core.arrays import Float1D
from mlwb.core.bars import BAR_FIELDS, MID, TS
from mlwb.core.home import find_project
from mlwb.features import specs
from mlwb.features.batch import compute
from mlwb.model import CombinatorialPurgedCV, PurgedKFold, auc, leak_count, rank_correlation
from mlwb.stats import (
    benjamini_hochberg,
    block_length,
    dsr,
    holm,
    min_track_record,
    overfitting,
    psr,
    sharpe_ratio,
    wilson,
)
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
        *_luck(oracle("purgedcv")),
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
    stamps = {
        "prediction_times": t0.astype("datetime64[s]"),
        "evaluation_times": t1.astype("datetime64[s]"),
    }
    ours = _trained(PurgedKFold(t0, t1, n_splits=5, embargo_s=0))
    theirs = _trained(purgedcv.PurgedKFold(5, **stamps))
    what = "rows trained on, 5 purged folds, 15 min labels, a gap"
    yield Row(what, ours, "purgedcv PurgedKFold", theirs)
    ours = _trained(CombinatorialPurgedCV(t0, t1, embargo_s=0))
    theirs = _trained(purgedcv.CombinatorialPurgedCV(6, 2, **stamps))
    what = "the same, 15 combinatorial splits"
    yield Row(what, ours, "purgedcv CombinatorialPurgedCV", theirs)
    ours = sum(leak_count(a, b, t0=t0, t1=t1) for a, b in PurgedKFold(t0, t1).split())
    theirs = sum(leak_count(a, b, t0=t0, t1=t1) for a, b in KFold(5).split(t0))
    why = "rows whose label meets a test label: scikit-learn does not know of label spans"
    yield Row("leaking rows, 5 folds", ours, "scikit-learn KFold", theirs, why)


def _trained(splitter: Any) -> int:
    return sum(len(train) for train, _ in splitter.split(np.zeros((1_200, 1))))


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
    theirs = float(empyrical.calmar_ratio(daily, annualization=365))
    yield Row("Calmar", found.calmar, "empyrical, annualization=365", theirs)


def _luck(purgedcv: Any) -> Iterator[Row]:
    daily = daily_returns() + 0.003
    found = sharpe_ratio(daily)
    ours = psr(found.ratio, found.n_obs, skew=found.skew, kurtosis=found.kurtosis)
    theirs = float(purgedcv.probabilistic_sharpe_ratio(daily, 0.0))
    why = "purgedcv corrects both moments for bias and takes ddof 0; the paper's are plain"
    yield Row("PSR, 90 days", ours, "purgedcv probabilistic_sharpe_ratio", theirs, why)
    ratio = float(daily.mean() / daily.std())
    moments = {
        "skew": float(skew(daily, bias=False)),
        "kurtosis": float(kurtosis(daily, fisher=False, bias=False)),
    }
    ours = psr(ratio, found.n_obs, **moments)
    yield Row("the same of its moments", ours, "purgedcv probabilistic_sharpe_ratio", theirs)
    trials = np.array([ratio, 0.05, 0.02, -0.04, 0.08])
    ours = dsr(ratio, found.n_obs, trial_ratios=trials, **moments)
    theirs = float(purgedcv.deflated_sharpe_ratio(daily, len(trials), float(trials.var(ddof=1))))
    yield Row("DSR of its moments, five trials", ours, "purgedcv deflated_sharpe_ratio", theirs)
    ours = min_track_record(0.1, skew=-0.5, kurtosis=5.0)
    theirs = float(purgedcv.min_track_record_length(0.1, 0.0, 0.05, -0.5, 5.0))
    why = "purgedcv rounds up to whole periods"
    yield Row(
        "MinTRL of a ratio of 0.1 a day", ours, "purgedcv min_track_record_length", theirs, why
    )
    returns = np.random.default_rng(6).normal(size=(960, 12)) + np.linspace(0.0, 0.1, 12)
    ours = overfitting(returns, n_blocks=8).probability
    theirs = float(purgedcv.probability_of_backtest_overfitting(returns.T, 8).pbo)
    yield Row(
        "PBO of twelve configurations", ours, "purgedcv probability_of_backtest_overfitting", theirs
    )


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
    theirs = multipletests(p, method="fdr_bh")[1]
    ours = float(benjamini_hochberg(p)[1])
    yield Row("Benjamini-Hochberg, the same", ours, "statsmodels multipletests", float(theirs[1]))
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
