"""What Celery costs: broker, claims and ledger, as a share of the engine's time for an import.

    python -m benchmarks.dispatch_cost [--server pureftpd] [--rounds 5] [--check]

The engine alone (`benchmarks/engine.py`) has eight threads and sessions, and neither Celery nor
Redis. Beside it one worker that stands, once without task events and once with them, carries the
same import into an empty directory: the run's own seconds, from its plan to the end of its publish.
WordPress, in plain, on loopback and at 20 ms; rounds in turn, medians.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from benchmarks.clients.base import Job
from benchmarks.clients.engine import Engine
from benchmarks.latency import DelayedLink, LinkFailed
from benchmarks.machine import describe, load
from benchmarks.markdown import rows
from benchmarks.outcome import MeasurementFailed
from benchmarks.servers import SERVER_NAMES, SERVERS, running
from benchmarks.standing import standing
from benchmarks.trees import make_tree
from tests.wordpress import WordPressMissing

MOST_SHARE_ON_LOOPBACK = 0.35
_WAYS: dict[str, tuple[str, ...]] = {"without events": (), "with events": ("--events",)}
_HEADER = ("server", "round trip", "engine", *_WAYS, *(f"cost {way}" for way in _WAYS))


def main() -> int:
    """Measure and print; 1 when something could not be measured, or with `--check` where the bound
    is not kept."""
    asked = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    print(*describe(), load(), sep="\n")
    table: list[tuple[str, ...]] = []
    kept = True
    try:
        for name in asked.server:
            for round_trip in (0.0, 20.0):
                taken = _measure(name, round_trip, asked)
                engine = taken["engine"]
                shares = [taken[way] / engine - 1 for way in _WAYS]
                kept &= bool(round_trip) or shares[0] <= MOST_SHARE_ON_LOOPBACK
                table.append(
                    (
                        SERVER_NAMES[name],
                        f"{round_trip:.0f} ms" if round_trip else "loopback",
                        f"{engine:.2f} s",
                        *(f"{taken[way]:.2f} s" for way in _WAYS),
                        *(f"{share:.0%}" for share in shares),
                    )
                )
    except (LinkFailed, WordPressMissing, MeasurementFailed) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    print("", *rows(_HEADER, table), sep="\n")
    return 0 if kept or not asked.check else 1


def _measure(name: str, round_trip: float, asked: argparse.Namespace) -> dict[str, float]:
    """Median seconds of the engine and of each way."""
    seconds: dict[str, list[float]] = {way: [] for way in ("engine", *_WAYS)}
    tree = make_tree("wordpress", Path())
    with ExitStack() as stack:
        link = stack.enter_context(DelayedLink(round_trip / 1000)) if round_trip else None
        server = stack.enter_context(running(name, tls=False, link=link))
        for number in range(asked.rounds):
            for way in seconds:
                with tempfile.TemporaryDirectory(prefix="siteferry-bench-") as folder:
                    job = Job(server.fresh(), tree, Path(folder), asked.limit)
                    taken = Engine().run(job).seconds if way == "engine" else _carried(job, way)
                seconds[way].append(taken)
                print(
                    f"{name} {round_trip:.0f} ms round {number + 1}: {way} {taken:.2f} s",
                    file=sys.stderr,
                )
    return {way: median(of) for way, of in seconds.items()}


def _carried(job: Job, way: str) -> float:
    """The run's own seconds."""
    with standing(job) as own, own.worker(*_WAYS[way]):
        return float(own.run_import(job.limit_seconds).told["seconds"])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dispatch_cost", description=__doc__)
    parser.add_argument("--server", choices=list(SERVERS), action="append")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--limit", type=float, default=300, help="seconds for a run (default 300)")
    parser.add_argument("--check", action="store_true", help="1 where the bound is not kept")
    asked = parser.parse_args()
    asked.server = asked.server or list(SERVERS)
    return asked


if __name__ == "__main__":
    sys.exit(main())
