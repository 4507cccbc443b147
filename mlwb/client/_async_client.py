"""The client of an event loop: the same calls, awaited."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

from mlwb.client._answers import Bar, Observation, Prediction, Row
from mlwb.client._async_lines import AsyncLines
from mlwb.client._base import BaseClient

__all__ = ["AsyncPredictClient"]


class AsyncPredictClient(BaseClient):
    """Asks a predict server from the tasks of one event loop; close it, or use ``async with``.

    Every decision (deadline, retry, breaker, what is an answer) is made by the code of
    :class:`~mlwb.client.PredictClient`. A call that is cancelled closes its connection.

    The parameters are those of :class:`~mlwb.client.BaseClient`.
    """

    def _set_up(self) -> None:
        self._lines = AsyncLines(self._address, self._tls, self._sleep or asyncio.sleep)
        self._poller: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End polling and close what is kept open; a later call opens anew."""
        if self._poller is not None:
            self._poller.cancel()
            await asyncio.gather(self._poller, return_exceptions=True)
            self._poller = None
        self._lines.close()
        await asyncio.sleep(0)  # the loop lets go of what was closed

    async def predict(
        self, row: Row, *, request_id: str = "", timeout_s: float | None = None
    ) -> Prediction:
        """As :meth:`PredictClient.predict`.

        Raises
        ------
        ServeError
            The model did not answer and there is no fallback; ``problem`` says why.
        """
        return await self._lines.run(self._predict(row, request_id, timeout_s))

    async def predict_many(
        self,
        rows: Sequence[Sequence[float]],
        *,
        request_id: str = "",
        timeout_s: float | None = None,
    ) -> tuple[Prediction, ...]:
        """As :meth:`PredictClient.predict_many`.

        Raises
        ------
        ServeError
            As in :meth:`predict`.
        """
        return await self._lines.run(self._predict_many(rows, request_id, timeout_s))

    async def predict_with_shadow(
        self,
        row: Row,
        *,
        request_id: str = "",
        wait: bool = False,
        timeout_s: float | None = None,
    ) -> Prediction:
        """As :meth:`PredictClient.predict_with_shadow`.

        Parameters
        ----------
        row, request_id, wait, timeout_s
            As there.

        Raises
        ------
        ServeError
            As in :meth:`predict`.
        """
        path = "/ml/predict-with-shadow" + ("?wait=1" if wait else "")
        return await self._lines.run(self._predict(row, request_id, timeout_s, path))

    async def observe(
        self,
        symbol: str,
        bars: Bar | Sequence[Bar],
        *,
        request_id: str = "",
        timeout_s: float | None = None,
    ) -> Observation:
        """As :meth:`PredictClient.observe`.

        Parameters
        ----------
        symbol, bars, request_id, timeout_s
            As there.

        Raises
        ------
        ServeError
            The server did not answer and there is no fallback.
        """
        return await self._lines.run(self._observe(symbol, bars, request_id, timeout_s))

    async def health(self) -> dict[str, Any]:
        """``/ml/health``, ready or not.

        Raises
        ------
        ServeError
            No answer.
        """
        return await self._lines.run(self._health())

    async def model_info(self) -> dict[str, Any]:
        """``/ml/model/info``.

        Raises
        ------
        ServeError
            No answer, or no model.
        """
        return await self._lines.run(self._model_info())

    async def metrics(self) -> str:
        """``/ml/metrics``, Prometheus text.

        Raises
        ------
        ServeError
            No answer.
        """
        return await self._lines.run(self._metrics())

    async def get_raw(self, path: str) -> tuple[int, bytes]:
        """As :meth:`PredictClient.get_raw`.

        Raises
        ------
        ServeError
            No answer.
        """
        reply = await self._lines.run(self._get(path))
        return reply.status, reply.body

    async def post_raw(self, path: str, body: bytes) -> tuple[int, bytes, float]:
        """As :meth:`PredictClient.post_raw`.

        Raises
        ------
        ServeError
            No answer.
        """
        start = self._clock.monotonic_s()
        reply = await self._lines.run(self._post(path, body))
        return reply.status, reply.body, (self._clock.monotonic_s() - start) * 1e3

    async def start_polling(
        self, interval_s: float = 5.0, on_change: Callable[[bool], object] | None = None
    ) -> None:
        """As :meth:`PredictClient.start_polling`, in a task of the running loop."""
        if self._poller is None:
            self._polled = False
            self._poller = asyncio.create_task(self._keep_polling(interval_s, on_change))

    async def _keep_polling(
        self, interval_s: float, on_change: Callable[[bool], object] | None
    ) -> None:
        try:
            while True:
                has_changed = await self._lines.run(self._poll())
                if has_changed and on_change is not None:
                    on_change(self._polled is True)
                await asyncio.sleep(self._until_next_poll_s(interval_s))
        finally:
            self._polled = False  # nobody looks any more
