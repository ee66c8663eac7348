"""The second run: WordPress stands on the server, and nothing or one file has changed since.

    python -m benchmarks.second_run [--server NAME] [--rounds 3] [--round-trip 20] [--check]

siteferry is measured as an operator has it: a Redis and a worker stand; the worker has carried an
import of the same website before and has logged out since. The seconds are those of the whole
command, from its start to its end. lftp and rclone find the same tree on the server, with the same
times, and have run once on it. After each run the tree on the server must be the source, byte for
byte; of a peer that has not sent the changed file the table tells that it missed it.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median

from benchmarks.changing import CHANGED_FILE, CHANGES, ChangingTree
from benchmarks.clients.base import Client, Job
from benchmarks.clients.lftp import Lftp
from benchmarks.clients.rclone import Rclone
from benchmarks.latency import DelayedLink, LinkFailed
from benchmarks.machine import describe, load
from benchmarks.markdown import rows
from benchmarks.outcome import MeasurementFailed, Run
from benchmarks.round_trips import count_unchanged, described
from benchmarks.servers import SERVER_NAMES, SERVERS, running
from benchmarks.standing import standing
from tests.installation import tree_of
from tests.servers.base import FtpServer
from tests.servers.sessions import give_to_the_server
from tests.wordpress import FILES, WordPressMissing

MOST_SECONDS = {"unchanged": 1.0, "one file, same size": 1.5, "one file, new size": 1.5}
MOST_ROUND_TRIPS = 10
_PEERS: tuple[Client, ...] = (Lftp(), Rclone("sync"))
_HEADER = ("server", "what changed", "siteferry", "at most", "lftp", "rclone")
_RATIOS = ("siteferry / lftp", "siteferry / rclone")

_MISSED = "missed it"

Taken = dict[str, dict[str, list[Run]]]
"""The runs of all rounds, by change and client."""


def main() -> int:
    """Measure and print; 1 when something could not be measured, or with `--check` where a bound is
    not kept."""
    asked = _arguments()
    # So that everything is stopped and removed then, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    print(*describe(), load(), sep="\n")
    table: list[tuple[str, ...]] = []
    kept: list[bool] = []
    counts: list[str] = []
    try:
        for name in asked.server:
            taken = _measure(name, asked)
            table += _cells(name, taken)
            kept += [_seconds(of["siteferry"]) <= MOST_SECONDS[c] for c, of in taken.items()]
            with tempfile.TemporaryDirectory(prefix="siteferry-bench-trees-") as folder:
                tree = ChangingTree(Path(folder) / "wordpress").path
                turns = count_unchanged(name, tree, asked.limit)
            kept.append(len(turns) <= MOST_ROUND_TRIPS)
            counts += [f"{SERVER_NAMES[name]}: {len(turns)} round trips after login"]
            counts += described(turns)
    except (LinkFailed, WordPressMissing, MeasurementFailed) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    print("", *rows([*_HEADER, *_RATIOS], table), "", *counts, sep="\n")
    return 0 if all(kept) or not asked.check else 1


def _measure(server_name: str, asked: argparse.Namespace) -> Taken:
    taken: Taken = {change: {} for change in CHANGES}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="siteferry-bench-")))
        tree = ChangingTree(folder / "wordpress")
        link = None
        if asked.round_trip:
            link = stack.enter_context(DelayedLink(asked.round_trip / 1000))
        server = stack.enter_context(running(server_name, tls=False, link=link))
        runs: dict[str, Callable[[int], Run]] = {}
        for peer in () if asked.alone else _PEERS:
            if reason := peer.missing():
                raise MeasurementFailed(reason)
            job = _job(server, tree.path, folder / peer.name, asked.limit)
            runs[peer.name] = _peer_runs(peer, job)
        job = _job(server, tree.path, folder / "siteferry", asked.limit)
        runs["siteferry"] = stack.enter_context(_siteferry_runs(job))
        for number in range(asked.rounds):
            for change, (make, sent) in CHANGES.items():
                make(tree)
                for client, run in runs.items():
                    one = run(sent)
                    taken[change].setdefault(client, []).append(one)
                    told = f"{client} {one.seconds:.2f} s {one.note}".rstrip()
                    _tell(f"{server_name} round {number + 1}: {change}: {told}")
    return taken


def _job(server: FtpServer, tree: Path, folder: Path, limit_seconds: float) -> Job:
    folder.mkdir()
    return Job(server.fresh(), tree, folder, limit_seconds)


def _peer_runs(peer: Client, job: Job) -> Callable[[int], Run]:
    """What runs the peer once; on what it takes for its own, for the tree is copied into its place
    and it has looked at it once."""
    _seed(job)

    def run(_sent: int) -> Run:
        result = peer.run(job)
        if result.status != "done":
            raise MeasurementFailed(f"{peer.name}: {result.status} {result.note}")
        wrong = _difference(job)
        if wrong and wrong != [CHANGED_FILE]:
            raise MeasurementFailed(f"{peer.name} left another tree: {wrong}")
        return replace(result, note=_MISSED) if wrong else result

    _tell(f"{peer.name} for the first time: {run(0).seconds:.2f} s")
    return run


def _seed(job: Job) -> None:
    """What a first run over the link would leave, times included, in less time."""
    shutil.copytree(job.tree, job.local_dir)
    give_to_the_server(job.server.root)


@contextmanager
def _siteferry_runs(job: Job) -> Iterator[Callable[[int], Run]]:
    with standing(job) as own, own.worker():
        first = own.run_import(job.limit_seconds)
        _tell(f"siteferry, all files new: {first.seconds:.2f} s")

        def run(sent: int) -> Run:
            own.wait_until_logged_out()
            result = own.run_import(job.limit_seconds)
            if result.counts != (sent, FILES - sent, 0):
                raise MeasurementFailed(f"siteferry counted {result.counts}, {sent} were changed")
            if wrong := _difference(job):
                raise MeasurementFailed(f"siteferry left another tree: {wrong}")
            return Run("done", result.seconds)

        yield run


def _difference(job: Job) -> list[str]:
    """Some of the paths at which the tree on the server is not the source, byte for byte."""
    found, expected = tree_of(job.local_dir), tree_of(job.tree)
    return sorted(dict(found.items() ^ expected.items()))[:5]


def _seconds(runs: Sequence[Run]) -> float:
    return median(run.seconds for run in runs)


def _cells(server: str, taken: Taken) -> Iterator[tuple[str, ...]]:
    for change, of in taken.items():
        own = _seconds(of["siteferry"])
        peers = [of.get(peer.name, ()) for peer in _PEERS]
        yield (
            SERVER_NAMES[server],
            change,
            f"{own:.2f}",
            f"{MOST_SECONDS[change]:.1f}",
            *map(_cell, peers),
            *(
                "–" if _cell(runs) in ("–", _MISSED) else f"{own / _seconds(runs):.3f}"
                for runs in peers
            ),
        )


def _cell(runs: Sequence[Run]) -> str:
    if any(run.note for run in runs):
        return _MISSED
    return f"{_seconds(runs):.2f}" if runs else "–"


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.second_run", description=__doc__)
    parser.add_argument(
        "--server",
        choices=list(SERVERS),
        action="append",
        help="on this one only; may be repeated. All: " + ", ".join(SERVERS),
    )
    parser.add_argument("--rounds", type=int, default=3, help="of each change (default 3)")
    parser.add_argument(
        "--round-trip", type=float, default=20, help="milliseconds (default 20); 0: loopback"
    )
    parser.add_argument("--limit", type=float, default=300, help="seconds for a run (default 300)")
    parser.add_argument("--alone", action="store_true", help="siteferry only, without its peers")
    parser.add_argument("--check", action="store_true", help="1 where a bound is not kept")
    asked = parser.parse_args()
    if asked.rounds < 1:
        parser.error("--rounds must be at least 1")
    asked.server = asked.server or list(SERVERS)
    return asked


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
