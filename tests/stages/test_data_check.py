"""Broken recordings end in a data verdict that names the defect, and in no model."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlwb.core.clock import ManualClock
from mlwb.core.errors import DataError
from mlwb.params import load_policy
from mlwb.stages import data_check
from mlwb.stages.common import judge_gates
from tests.stages.conftest import PARAMS, small

CLEAN = (
    "crypto_spot_1m/BTCUSDT_1m_20250520_20250818.csv.gz",
    "crypto_perp_1m/LTCUSDT-PERP_1m_20250504_20250624.csv.gz",
    "fx_bidask_1m/GBPUSD_fxcm_m1_bid_201202.csv.gz",
    "mt5_spread_1m/XAUUSD_M1_20260324_20260528.csv.gz",
)
MESSY = {
    "BTCUSDT_1m_binance_outage_20230316_20230501.json.gz": ("stale_longest_bars", "longest_gap_s"),
    "BTCRUB_1m_duplicated_pages_201912.json.gz": ("duplicates_identical",),
    "BRDBTC_1m_illiquid_dups_gaps_202002.json.gz": ("duplicates_identical", "longest_gap_s"),
    "BTCUSDT_bybit_1m_paging_bug_20240908_20250907.csv.gz": ("coverage", "longest_gap_s"),
    "BTCUSDC_kraken_1m_sparse_20230101_20230331.csv.gz": ("completeness",),
}


def verdict_of(path: Path, home: Path) -> tuple[str, str]:
    """Outcome and reason of the data gate for a file."""
    params = small("feature_study", home, **{"data.source": [str(path)]})
    records = data_check.measure(data_check.load(params), params, ManualClock())
    policy = load_policy(PARAMS / "policy.yml")
    (verdict,) = judge_gates(("data",), records, policy, ManualClock())
    failed = " ".join(check.id for check in verdict.checks if check.outcome != "PASS")
    return str(verdict.outcome), failed


@pytest.mark.slow
@pytest.mark.realdata
@pytest.mark.parametrize("name", CLEAN)
def test_clean_recordings_pass(name: str, real_data: Path, tmp_path: Path) -> None:
    """A sound file of each kind passes the data gate."""
    assert verdict_of(real_data / name, tmp_path)[0] == "PASS"


@pytest.mark.slow
@pytest.mark.realdata
@pytest.mark.parametrize(("name", "checks"), MESSY.items())
def test_messy_recordings_are_refused(
    name: str, checks: tuple[str, ...], real_data: Path, tmp_path: Path
) -> None:
    """Each broken file fails on the check its README describes."""
    outcome, failed = verdict_of(real_data / "messy" / name, tmp_path)
    assert outcome != "PASS"
    assert any(check in failed for check in checks), failed


def test_a_missing_file_is_one_clear_error(tmp_path: Path) -> None:
    """No stack of causes: the path, and that it is not there."""
    with pytest.raises(DataError, match=r"nothing\.csv"):
        verdict_of(tmp_path / "nothing.csv", tmp_path)
