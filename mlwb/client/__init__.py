"""What a trading bot embeds: a score within a deadline, or a fallback, never a surprise.

Belongs here: the HTTP clients of the predict server, one that waits and one for an event loop,
their retries, their breaker, their fallback. What a call is stands once, as steps that either
client takes.
Does not belong here: features (the server has them), trading rules.
"""

from mlwb.client._answers import Observation, Prediction
from mlwb.client._async_client import AsyncPredictClient
from mlwb.client._base import BaseClient
from mlwb.client._breaker import Breaker
from mlwb.client._client import PredictClient
from mlwb.client._retry import RetryPolicy

__all__ = [
    "AsyncPredictClient",
    "BaseClient",
    "Breaker",
    "Observation",
    "PredictClient",
    "Prediction",
    "RetryPolicy",
]
