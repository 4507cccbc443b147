"""Between which ends each number a server is told may lie."""

from __future__ import annotations

from mlwb.core.errors import ParamsError
from mlwb.serve._variables import variable

__all__ = ["check_ranges"]

_RANGES: dict[str, tuple[float, float]] = {
    "port": (0, 65_535),
    "workers": (1, 64),
    "shadow_budget_ms": (0.1, 10_000),
    "match_delta": (0.0, 1.0),
    "shadow_window": (10, 20_000),
    "shadow_error_limit": (0.0, 1.0),
    "shadow_least": (1, 20_000),
    "shadow_pause_s": (0.01, 86_400),
    "shadow_probes": (1, 1_000),
    "shadow_queue": (1, 10_000),
    "body_limit": (256, 16_777_216),
    "max_rows": (1, 65_536),
    "log_limit": (1_024, 1 << 40),
    "log_hours": (0.01, 8_760),
    "log_files": (1, 10_000),
    "stats_window": (2, 100_000),
    "z_threshold": (0.0, 1_000.0),
    "kept_versions": (1, 64),
    "feature_log_files": (1, 10_000),
    "feature_log_share": (0.0, 1.0),
    "observe_symbols": (1, 1_024),
    "observe_max_age_s": (0.0, 1e10),
    "observe_ahead_s": (0.0, 1e10),
    "observe_save_s": (0.01, 86_400),
    "reload_s": (0.01, 3_600),
    "drain_s": (0.0, 600),
    "key_days": (0.001, 3_650),
    "key_grace_h": (0.0, 8_760),
    "rate_limit": (0, 1_000_000_000),
    "rate_limit_address": (0, 1_000_000_000),
    "rate_window_s": (1.0, 86_400),
    "rate_names": (1, 10_000_000),
    "max_connections": (1, 1_000_000),
    "max_in_flight": (1, 1_000_000),
    "max_headers": (4, 10_000),
    "header_limit": (512, 1_048_576),
    "read_s": (0.05, 3_600),
    "idle_s": (0.05, 86_400),
    "access_sample": (0.0, 1.0),
}


def check_ranges(settings: object) -> None:
    """Every number lies between its ends.

    Raises
    ------
    ParamsError
        One does not; NaN never does.
    """
    for name, (low, high) in _RANGES.items():
        value = getattr(settings, name)
        if not low <= value <= high:
            raise ParamsError(
                f"{variable(name)} is out of range",
                expected=f"{low:g} .. {high:g}",
                got=f"{value}",
            )
