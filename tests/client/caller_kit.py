"""Either client, called the same way: what one promises, the other does too."""

from __future__ import annotations

import asyncio
import inspect
import random
from typing import Any, Self

from mlwb.client import AsyncPredictClient, PredictClient

__all__ = ["KINDS", "Caller"]

KINDS = ("waits", "awaits")


class Caller:
    """A client whose calls return; waits between tries are written down and not waited for."""

    def __init__(self, kind: str, url: str, **options: Any) -> None:
        self.waits: list[float] = []
        self._runner = asyncio.Runner() if kind == "awaits" else None
        made = AsyncPredictClient if self._runner else PredictClient
        sleep = self._asleep if self._runner else self.waits.append
        rng = random.Random(1)  # noqa: S311 - jitter
        patient = {"timeout_s": 10.0, "connect_timeout_s": 5.0}  # tests share a machine
        self.client = made(url, **{"sleep": sleep, "rng": rng, **patient, **options})

    async def _asleep(self, seconds: float) -> None:
        self.waits.append(seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.call("close")
        if self._runner is not None:
            self._runner.close()

    def call(self, name: str, *args: Any, **options: Any) -> Any:
        """What the method of that name returns or, awaited, gives."""

        async def awaited() -> Any:
            return await getattr(self.client, name)(*args, **options)

        if self._runner is not None and inspect.iscoroutinefunction(getattr(self.client, name)):
            return self._runner.run(awaited())
        return getattr(self.client, name)(*args, **options)

    def predict(self, row: Any, **options: Any) -> Any:
        """The call most tests make."""
        return self.call("predict", row, **options)

    def idle(self, seconds: float) -> None:
        """Let the event loop run for a while, as it does in a bot; a thread needs none."""
        if self._runner is not None:
            self._runner.run(asyncio.sleep(seconds))
