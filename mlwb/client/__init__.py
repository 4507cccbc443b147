"""What a trading bot embeds: a score within a deadline, or a fallback, never a surprise.

Belongs here: the HTTP client of the predict server, its retries, its breaker, its fallback.
Does not belong here: features (the server has them), trading rules, anything asynchronous.
"""

from mlwb.client._breaker import Breaker
from mlwb.client._client import PredictClient, Prediction
from mlwb.client._retry import RetryPolicy

__all__ = ["Breaker", "PredictClient", "Prediction", "RetryPolicy"]
