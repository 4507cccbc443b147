"""What observing costs: a bar, a request, a catch-up, another model, a save, a symbol's memory.

    python -m benchmarks.observe [--bars 2000]

The twelve features mlwb comes with less the book's, over a synthetic market; requests are raw ASGI
calls into one application, one loop for all, so that the ratio to `/ml/predict` of the same model
is of the routes alone. Seconds of the processor; only ratios travel.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
import tracemalloc
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.kit.timing import best
from mlwb.data import simulate_market, to_bars
from mlwb.features import FeatureStream, feature_names
from mlwb.serve import App
from mlwb.serve._observe_file import _encode
from mlwb.serve._symbol import SymbolState
from tests.serve.asgi_kit import request
from tests.serve.observe_kit import body, observing, write_observed

NAMES = tuple(name for name in feature_names() if name != "book_imbalance")
DAY = 1_440


def _us_a_request(app: App, path: str, bodies: Sequence[bytes]) -> float:
    async def send() -> float:
        start = time.process_time()
        for sent in bodies:
            reply = await request(app, path, sent)
            if reply.status != 200:
                raise RuntimeError(reply.body.decode())
        return time.process_time() - start

    return asyncio.run(send()) / len(bodies) * 1e6


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bars", type=int, default=2_000, help="bars sent one by one")
    n = parser.parse_args().bars
    with tempfile.TemporaryDirectory() as scratch:
        for name, text in _rows(Path(scratch), n):
            print(f"{name:<52} {text}")


def _rows(folder: Path, n: int) -> Iterator[tuple[str, str]]:
    bars = to_bars(simulate_market(days=3 + (n + DAY) // DAY))
    warm = len(bars) - n
    chosen = write_observed(folder / "models", names=NAMES)
    app = observing(folder / "models", bars, body_limit=1 << 22, max_rows=len(bars))
    one_by_one = [body(bars[place : place + 1]) for place in range(warm, len(bars))]

    stream, rows = FeatureStream(chosen), bars.tolist()
    start = time.process_time()
    for row in rows:
        stream.step(row)
    fold_us = (time.process_time() - start) / len(rows) * 1e6
    yield f"features of a bar, {len(chosen)} of them", f"{fold_us:8.1f} us"

    history = body(bars[:warm])
    catch_up = _us_a_request(app, "/ml/observe", [history])
    yield "a bar of a catch-up, decoding included", f"{catch_up / warm:8.1f} us"
    yield "a catch-up of a day, in one request", f"{catch_up / warm * DAY / 1e3:8.1f} ms"

    pieces = [one_by_one[begin : begin + n // 4] for begin in range(0, n, n // 4)]
    observed = min(_us_a_request(app, "/ml/observe", piece) for piece in pieces)
    answer = asyncio.run(request(app, "/ml/observe", one_by_one[-1])).json()
    plain = [json.dumps({"features": answer["features"]}).encode()] * n
    _us_a_request(app, "/ml/predict", plain)
    predicted = min(_us_a_request(app, "/ml/predict", plain) for _ in range(3))
    yield "a request of one bar", f"{observed:8.1f} us"
    yield "a request of one row to /ml/predict", f"{predicted:8.1f} us"
    yield "a bar over a row", f"{observed - predicted:8.1f} us, {observed / predicted:.2f} times"

    observer = app.state.observer
    live = app.state.answering()
    features = observer.features(live.predictor.sidecar)
    (state,) = observer._states.values()  # noqa: SLF001 - the one symbol
    again = best(state._begin, clock=time.process_time)  # noqa: SLF001 - what a reload does
    yield f"another model: {len(state):,} bars folded anew", f"{again * 1e3:8.1f} ms"
    copied, saved = best(state.save, clock=time.process_time), state.save()
    written = best(lambda: _encode("EURUSD", saved), clock=time.process_time)
    yield "a symbol to save, on the loop", f"{copied * 1e3:8.2f} ms"
    yield "a symbol to save, on the other thread", f"{written * 1e3:8.1f} ms"
    yield "a symbol's file", f"{len(_encode('EURUSD', saved)) / 1024:8.0f} KiB"
    taken_up = best(lambda: SymbolState.load(saved, features), clock=time.process_time)
    yield "a symbol to take up after a restart", f"{taken_up * 1e3:8.2f} ms"
    tracemalloc.start()
    kept = SymbolState.load(saved, features)
    yield "a symbol in memory", f"{tracemalloc.get_traced_memory()[0] / 1024:8.0f} KiB"
    del kept


if __name__ == "__main__":
    main()
