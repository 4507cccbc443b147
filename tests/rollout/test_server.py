"""What a rollout reads of a server's page of metrics."""

from __future__ import annotations

import pytest

from mlwb.rollout._server import CanaryServer, Counters

PAGE = """# TYPE ml_predict_requests_total counter
ml_predict_requests_total{model_version="v1",status="server_error"} 3
ml_predict_requests_total{model_version="v2",status="server_error"} 4
ml_predict_requests_total{model_version="none",status="server_error"} 80
ml_predict_requests_total{model_version="v2",status="success"} 90
ml_canary_answers_total{status="fallback"} 2
"""
BROKEN = """ml_predict_requests_total{model_version="v3",status="server_error"} NaN
ml_predict_requests_total{model_version="v4",status="server_error"} junk
ml_canary_answers_total{status="fallback"
"""


@pytest.mark.parametrize("page", [PAGE, PAGE + BROKEN, BROKEN + PAGE])
def test_totals_are_those_of_all_versions(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors of every version and fallbacks, not those of a kill switch, which are no version's.

    A line that is no number neither counts nor raises.
    """
    with CanaryServer("http://127.0.0.1:9") as server:
        monkeypatch.setattr(server._client, "metrics", lambda: page)
        found = server.counters()
    assert found == Counters(errors=7.0, fallbacks=2.0)
    assert found.since(Counters(5.0, 9.0)) == (2, 2)
