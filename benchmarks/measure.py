"""Rounds: in each, all clients of a case send the tree to one server, one after the other."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.cases import WORKER, Case
from benchmarks.clients import CLIENTS
from benchmarks.clients.base import Client, Job
from benchmarks.latency import DelayedLink
from benchmarks.memory import Worker
from benchmarks.outcome import MeasurementFailed, Run
from benchmarks.servers import running
from tests.installation import tree_of
from tests.servers.base import FtpServer, remove_tree

_SLOW_SECONDS = 120.0
"""A client that needs more for one run is not run again."""
_TRIES_TO_REMOVE = 5

Runs = dict[str, list[Run]]


def measure(
    case: Case,
    server_name: str,
    tree: Path,
    *,
    rounds: int,
    limit_seconds: float,
    clients: Sequence[str] = (),
) -> Runs:
    """All rounds of a case on a server that is started for them; gives the runs by client.

    Args:
        limit_seconds: after so long a run is ended, and counts as `over limit`.
        clients: only these; all of the case's if empty.

    Raises:
        MeasurementFailed: the server is not there, or siteferry did not do its work.
        LinkFailed: the link cannot be made here.
    """
    chosen = [_client(name) for name in case.clients if not clients or name in clients]
    runs: Runs = {client.name: [] for client in chosen}
    # Reading the tree warms the page cache for all clients.
    expected = tree_of(tree)
    with ExitStack() as stack:
        link = None
        if case.round_trip_ms:
            link = stack.enter_context(DelayedLink(case.round_trip_ms / 1000))
        server = stack.enter_context(running(server_name, tls=case.tls, link=link))
        for number in range(rounds):
            for client in _in_turn(chosen, number):
                if _is_enough(runs[client.name]):
                    continue
                run = _run(client, server, tree, expected, limit_seconds)
                runs[client.name].append(run)
                _tell(case, server_name, f"round {number + 1}", client.name, run)
    return runs


def _client(name: str) -> Client:
    client = Worker() if name == WORKER else CLIENTS[name]
    if client.ours and (reason := client.missing()):
        raise MeasurementFailed(reason)
    return client


def _in_turn(clients: list[Client], number: int) -> list[Client]:
    """The first two change places in every second round."""
    return clients[1::-1] + clients[2:] if number % 2 else clients


def _is_enough(runs: list[Run]) -> bool:
    return any(run.status != "done" or run.seconds > _SLOW_SECONDS for run in runs)


def _run(
    client: Client,
    server: FtpServer,
    tree: Path,
    expected: Mapping[str, str],
    limit_seconds: float,
) -> Run:
    if reason := client.missing():
        return Run("failed", 0.0, note=reason)
    area = server.fresh()
    try:
        with tempfile.TemporaryDirectory(prefix="siteferry-bench-") as folder:
            job = Job(area, tree, Path(folder), limit_seconds)
            os.sync()
            run = client.run(job)
            if run.status != "done" or not (wrong := _difference(client.landing(job), expected)):
                return run
            if client.ours:
                raise MeasurementFailed(f"{client.name} left another tree: {wrong}")
            return Run("failed", run.seconds, note=f"left another tree: {wrong}")
    finally:
        _remove(area.root)


def _difference(live: Path, expected: Mapping[str, str]) -> list[str]:
    """Some of the paths at which the tree is not the source, byte for byte."""
    found = tree_of(live)
    paths = found.keys() | expected.keys()
    return sorted(path for path in paths if found.get(path) != expected.get(path))[:5]


def _remove(root: Path) -> None:
    """A client that was ended at its limit may leave sessions that go on writing for a moment."""
    for _ in range(_TRIES_TO_REMOVE):
        try:
            return remove_tree(root)
        except OSError:
            time.sleep(1)
    return remove_tree(root)


def _tell(case: Case, server: str, number: str, client: str, run: Run) -> None:
    facts = ", ".join(f"{name} {value:.2f}" for name, value in run.facts.items())
    ending = "" if run.status == "done" else f" {run.status} {run.note}"
    print(
        f"{case.name} {server} {number}: {client} {run.seconds:.2f} s{ending}  {facts}",
        file=sys.stderr,
        flush=True,
    )
