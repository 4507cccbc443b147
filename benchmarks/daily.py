"""What a day of many rows costs: time against parsing alone, and memory that does not grow.

    python benchmarks/daily.py [MILLIONS]

Each size runs in a process of its own; the lines are made as they are read and never held.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from datetime import UTC, datetime

from mlwb.core.predictionlog import PredictionLine, ShadowOutcome, encode_line, parse_line
from mlwb.monitor import Fold

DAY = 20_454 * 86_400
ROWS = 1_000_000
PLAIN = (
    "import mlwb.monitor, resource;print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
)


def lines(n: int) -> list[bytes]:
    """Some thousand different lines over the day, to be read again under other ids."""
    found = []
    for i in range(n):
        score = (i * 7919 % 1000) / 1000
        side = ShadowOutcome("v2.0.0", min(score + 0.01, 1.0), 0.01, match=True, latency_ms=0.1)
        ts = datetime.fromtimestamp(DAY + 86_400 * i / n, UTC)
        found.append(
            encode_line(
                PredictionLine(ts, "id-00000000", "/ml/predict-with-shadow", "v1.0.0", "d84e84b7",
                               score, 0.3 + i % 50 / 10, shadow=side)
            )
        )  # fmt: skip
    return found


def one(n: int) -> None:
    """Fold n rows of both logs and print seconds, seconds of parsing alone, and the peak."""
    kept = lines(5_000)
    fold = Fold(DAY, DAY + 86_400, match_delta=0.05)
    start = time.process_time()
    for i in range(n):
        line = parse_line(kept[i % 5_000].replace(b"00000000", b"%08d" % i, 1))
        fold.answer(line)
        fold.comparison(line)
    folded = time.process_time() - start
    start = time.process_time()
    for i in range(n):
        parse_line(kept[i % 5_000].replace(b"00000000", b"%08d" % i, 1))
    parsed = time.process_time() - start
    fold.of("v2.0.0").rank_corr()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{folded:.3f} {parsed:.3f} {peak:.1f}")


def main() -> None:
    """Three sizes beside each other."""
    if sys.argv[1:2] == ["--one"]:
        one(int(sys.argv[2]))
        return
    most = int(float(sys.argv[1]) * 1e6) if len(sys.argv) > 1 else ROWS
    base = float(subprocess.check_output([sys.executable, "-c", PLAIN], text=True))
    print(f"interpreter with the room imported: {base:.0f} MB")
    for n in (most // 10, most):
        said = subprocess.check_output([sys.executable, __file__, "--one", str(n)], text=True)
        folded, parsed, peak = map(float, said.split())
        print(
            f"{n:>10,} rows in both logs: {1e6 * folded / n:.1f} us a row, "
            f"{folded / parsed:.1f} x parsing alone, peak {peak:.0f} MB"
        )


if __name__ == "__main__":
    main()
