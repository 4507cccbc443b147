"""The client that waits: one call, one deadline, one answer or the fallback."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

from mlwb.client._answers import Bar, Observation, Prediction, Row
from mlwb.client._base import BaseClient
from mlwb.client._lines import Lines

__all__ = ["PredictClient"]


class PredictClient(BaseClient):
    """Asks a predict server. Any number of threads may share one; close it, or use ``with``.

    Each call in flight has a connection of its own; up to sixteen are kept open between calls.
    Retry budget, breaker and polling are shared by all threads. After a fork the child opens
    connections of its own.

    The parameters are those of :class:`~mlwb.client.BaseClient`.

    Examples
    --------
    >>> with PredictClient("http://127.0.0.1:9", fallback=0.5) as client:
    ...     client.predict([1.0, 0.01]).reason
    'unreachable'
    """

    def _set_up(self) -> None:
        self._lines = Lines(self._address, self._tls, self._sleep or time.sleep)
        self._stop = threading.Event()
        self._poller: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End polling and close what is kept open; a later call opens anew."""
        self._stop.set()
        if self._poller is not None:
            self._poller.join()
            self._poller = None
        self._lines.close()

    def predict(
        self, row: Row, *, request_id: str = "", timeout_s: float | None = None
    ) -> Prediction:
        """P(label = 1) of one feature row.

        Parameters
        ----------
        row : mapping or sequence of float
            Raw features by name, or in the order of the model.
        request_id : str, default=""
            At most 64 letters, digits and ``. _ -``; anything else is replaced by a random one.
        timeout_s : float, optional
            Deadline of this call, in place of the client's.

        Returns
        -------
        Prediction

        Raises
        ------
        ServeError
            The model did not answer and there is no fallback; ``problem`` says why.
        """
        return self._lines.run(self._predict(row, request_id, timeout_s))

    def predict_many(
        self,
        rows: Sequence[Sequence[float]],
        *,
        request_id: str = "",
        timeout_s: float | None = None,
    ) -> tuple[Prediction, ...]:
        """P(label = 1) of several rows, in one request; all from the model, or none.

        Parameters
        ----------
        rows : sequence of sequence of float
            Raw features in the order of the model; an array of shape (n_rows, n_features) is one.
        request_id, timeout_s
            As in :meth:`predict`.

        Returns
        -------
        tuple of Prediction
            One a row.

        Raises
        ------
        ServeError
            As in :meth:`predict`.
        """
        return self._lines.run(self._predict_many(rows, request_id, timeout_s))

    def predict_with_shadow(
        self,
        row: Row,
        *,
        request_id: str = "",
        wait: bool = False,
        timeout_s: float | None = None,
    ) -> Prediction:
        """Like :meth:`predict`, and the candidate scores the row too.

        Parameters
        ----------
        row, request_id, timeout_s
            As in :meth:`predict`.
        wait : bool, default=False
            Wait for the candidate and return its side as ``shadow``.

        Raises
        ------
        ServeError
            As in :meth:`predict`.
        """
        path = "/ml/predict-with-shadow" + ("?wait=1" if wait else "")
        return self._lines.run(self._predict(row, request_id, timeout_s, path))

    def observe(
        self,
        symbol: str,
        bars: Bar | Sequence[Bar],
        *,
        request_id: str = "",
        timeout_s: float | None = None,
    ) -> Observation:
        """Tell of a closed bar, or of several in their order; the server keeps the features.

        Telling of the same bar again is harmless: the server gives the same answer.

        Parameters
        ----------
        symbol : str
            What the bars are of.
        bars : mapping or sequence of mapping
            ``ts`` (open of the minute; an aware datetime, or text), ``open high low close``,
            and ``volume bid ask bid_size ask_size`` where known.
        request_id, timeout_s
            As in :meth:`predict`.

        Returns
        -------
        Observation
            About the last bar. While the symbol is not ready, ``reason`` says why.

        Raises
        ------
        ServeError
            The server did not answer and there is no fallback.
        """
        return self._lines.run(self._observe(symbol, bars, request_id, timeout_s))

    def health(self) -> dict[str, Any]:
        """``/ml/health``, ready or not.

        Raises
        ------
        ServeError
            No answer.
        """
        return self._lines.run(self._health())

    def model_info(self) -> dict[str, Any]:
        """``/ml/model/info``.

        Raises
        ------
        ServeError
            No answer, or no model.
        """
        return self._lines.run(self._model_info())

    def metrics(self) -> str:
        """``/ml/metrics``, Prometheus text.

        Raises
        ------
        ServeError
            No answer.
        """
        return self._lines.run(self._metrics())

    def get_raw(self, path: str) -> tuple[int, bytes]:
        """One try at any other page of the server: its status and body.

        Raises
        ------
        ServeError
            No answer.
        """
        reply = self._lines.run(self._get(path))
        return reply.status, reply.body

    def post_raw(self, path: str, body: bytes) -> tuple[int, bytes, float]:
        """One try, no retry, no breaker, no fallback: for load tools and replays.

        Returns
        -------
        int, bytes, float
            Status, body, and milliseconds as the client saw them.

        Raises
        ------
        ServeError
            No answer.
        """
        start = self._clock.monotonic_s()
        reply = self._lines.run(self._post(path, body))
        return reply.status, reply.body, (self._clock.monotonic_s() - start) * 1e3

    def start_polling(
        self, interval_s: float = 5.0, on_change: Callable[[bool], object] | None = None
    ) -> None:
        """Ask for readiness in the background until the client is closed; see ``is_available``.

        Parameters
        ----------
        interval_s : float, default=5.0
            Mean time between two polls; each is drawn, so that many bots do not ask in step.
        on_change : callable, optional
            Called in the polling thread with the new readiness whenever it differs.
        """
        if self._poller is None:
            self._polled, self._stop = False, threading.Event()
            self._poller = threading.Thread(
                target=self._keep_polling,
                args=(interval_s, on_change),
                name="mlwb-client-poll",
                daemon=True,
            )
            self._poller.start()

    def _keep_polling(self, interval_s: float, on_change: Callable[[bool], object] | None) -> None:
        try:
            while not self._stop.is_set():
                has_changed = self._lines.run(self._poll())
                if has_changed and on_change is not None:
                    on_change(self._polled is True)
                self._stop.wait(self._until_next_poll_s(interval_s))
        finally:
            self._polled = False  # nobody looks any more
