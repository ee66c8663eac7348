"""siteferry against other clients on real servers: `python -m benchmarks` (or `make bench`)."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import acceptance, results_file
from benchmarks.cases import CASES, NOT_UNLESS_ASKED, WORKER
from benchmarks.clients import CLIENTS
from benchmarks.latency import LinkFailed
from benchmarks.machine import describe, load
from benchmarks.markdown import rows
from benchmarks.measure import measure
from benchmarks.outcome import MeasurementFailed
from benchmarks.results_file import Result, Results
from benchmarks.servers import SERVERS
from benchmarks.trees import make_tree
from tests.wordpress import WordPressMissing

_QUICK_CASES = ("wordpress-plain-loopback", "memory-many", "memory-large")
_QUICK_CLIENTS = ("engine", "lftp", WORKER)
_QUICK_SHARE = 0.1


def main() -> int:
    """Measure and print; 1 when something could not be measured, or a quick run's worker takes too
    much memory."""
    asked = _arguments()
    # So that everything is stopped and removed then, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    machine = list(describe())
    print(*machine, load(), sep="\n")
    try:
        results, failures = _measure_all(asked, machine)
    except (LinkFailed, WordPressMissing) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    if asked.quick:
        print(f"quick: made trees have {_QUICK_SHARE:.0%} of the size that is told")
    found = [v for v in acceptance.verdicts(results) if v.kept is not None]
    print(*rows(acceptance.HEADER, [v.cells() for v in found]), sep="\n")
    over = [v for v in found if v.bound.client == WORKER and not v.kept]
    print(*failures, sep="\n", file=sys.stderr)
    return 1 if failures or (asked.quick and over) else 0


def _measure_all(asked: argparse.Namespace, machine: list[str]) -> tuple[Results, list[str]]:
    """What was asked for, and what could not be measured; each result is kept as soon as it is
    there."""
    results: Results = {}
    failures: list[str] = []
    with tempfile.TemporaryDirectory(prefix="siteferry-bench-trees-") as folder:
        for case in map(CASES.__getitem__, asked.case):
            tree = make_tree(case.tree, Path(folder), _QUICK_SHARE if asked.quick else 1.0)
            for server in [name for name in case.servers if name in asked.server]:
                try:
                    runs = measure(
                        case,
                        server,
                        tree,
                        rounds=asked.rounds,
                        limit_seconds=asked.limit,
                        clients=asked.client,
                    )
                except MeasurementFailed as error:
                    failures.append(f"{case.name} {server}: {error}")
                    print(failures[-1], file=sys.stderr)
                    continue
                result = Result(case.name, server, results_file.today(), machine, runs)
                results[case.name, server] = result
                if not asked.quick and not asked.client:
                    results_file.keep(result)
    return results, failures


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    more: dict[str, Any] = {"action": "append", "metavar": "NAME"}
    usual = [name for name in CASES if name not in NOT_UNLESS_ASKED]
    parser.add_argument(
        "--case",
        choices=list(CASES),
        help=f"measure this one only; may be repeated. All: {', '.join(CASES)}; "
        f"without this option all but {', '.join(sorted(NOT_UNLESS_ASKED))}",
        **more,
    )
    parser.add_argument(
        "--server",
        choices=list(SERVERS),
        help=f"on this one only; may be repeated. All: {', '.join(SERVERS)}",
        **more,
    )
    parser.add_argument(
        "--client",
        choices=[*CLIENTS, WORKER],
        default=[],
        help=f"by this one only; may be repeated; nothing is kept. All: {', '.join(CLIENTS)}",
        **more,
    )
    parser.add_argument("--rounds", type=int, default=3, help="on each server (default 3)")
    parser.add_argument(
        "--limit", type=float, default=300, help="seconds after which a run is ended (default 300)"
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="about a minute, for CI: one round on vsftpd over loopback against lftp, and a "
        "worker's memory with a tenth of the files; nothing is kept",
    )
    asked = parser.parse_args()
    if asked.rounds < 1:
        parser.error("--rounds must be at least 1")
    if asked.quick:
        asked.rounds, asked.client = 1, list(_QUICK_CLIENTS)
    asked.case = asked.case or list(_QUICK_CASES if asked.quick else usual)
    asked.server = asked.server or (["vsftpd"] if asked.quick else list(SERVERS))
    return asked


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
