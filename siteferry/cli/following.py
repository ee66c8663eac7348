"""Follows runs until they end: snapshots from the ledger to a printer, and the final report."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence

import click

from siteferry.cli.lost_run import lost
from siteferry.errors import NoWorker
from siteferry.ledger.connection import Connection
from siteferry.ledger.runs import Runs
from siteferry.ledger.slots import SlotLedger
from siteferry.report.as_json import dumps
from siteferry.report.as_text import report
from siteferry.report.outcome import exit_code, highest
from siteferry.report.printer import choose_printer, progress_stream
from siteferry.run import RunState, Snapshot

POLL_SECONDS = 0.1
_FIRST_POLLS, _FIRST_POLL_SECONDS = 80, 0.025
"""A run with little to do is over before a person could read a line of progress."""
_RUNS_A_POLL = 20
_LONGEST_POLL_SECONDS = 2.0
NO_WORKER_SECONDS = 10.0


def poll_seconds(looks: int, live: int) -> float:
    """How long to wait after the look number `looks` (from 1), while `live` runs have not ended.
    Many runs are looked at less often, so that Redis has no more to tell in a second."""
    once = _FIRST_POLL_SECONDS if looks < _FIRST_POLLS else POLL_SECONDS
    return min(_LONGEST_POLL_SECONDS, once * max(1.0, live / _RUNS_A_POLL))


def follow(
    connection: Connection,
    names: Sequence[str],
    *,
    json: bool,
    quiet: bool,
    check: Callable[[], None],
    sleep: Callable[[float], None] = time.sleep,
) -> list[Snapshot]:
    """Show the progress of runs until all have ended; gives their last snapshots.

    Each look at all that have not ended is one question to Redis, and one more for each that has
    ended since the look before.

    Args:
        check: called at each look, for what must be kept alive beside the command.

    Raises:
        NoWorker: a run waits, and for ten seconds no worker has answered.
        RunLost: the ledger knew a run, and knows it no more.
        UnknownRun, LedgerUnreachable: from the ledger.
    """
    runs, slots = Runs(connection), SlotLedger(connection)
    live = list(dict.fromkeys(names))
    ended: dict[str, Snapshot] = {}
    seen: dict[str, Snapshot] = {}
    alone_since: float | None = None
    looks = 0
    stream = progress_stream(json)
    with choose_printer(stream.isatty(), json, quiet, len(live)) as printer:
        while True:
            check()
            waiting = False
            found = runs.snapshots(live)
            if gone := [seen[name] for name in live if name in seen and name not in found]:
                raise lost(gone)
            for name in live:
                snapshot = found.get(name) or runs.snapshot(name)  # which says that it is unknown
                seen[name] = snapshot
                if snapshot.state.ended:
                    ended[name] = runs.snapshot(name)
                    printer.close(snapshot)
                else:
                    printer.update(snapshot)
                    waiting |= snapshot.state is RunState.QUEUED
            live = [name for name in live if name not in ended]
            if not live:
                return [ended[name] for name in names]
            if waiting and not slots.nodes():
                now = time.monotonic()
                alone_since = alone_since if alone_since is not None else now
                if now - alone_since > NO_WORKER_SECONDS:
                    raise NoWorker(
                        "no worker has answered for ten seconds",
                        next_step="Start one with: siteferry worker",
                    )
            else:
                alone_since = None
            looks += 1
            sleep(poll_seconds(looks, len(live)))


def conclude(snapshots: Sequence[Snapshot], *, json: bool, many: bool) -> int:
    """Print the final report: of `many`, a table or a list; gives the exit code."""
    if json:
        click.echo(dumps(snapshots, many))
    elif not many:
        for snapshot in snapshots:
            click.echo(report(snapshot))
    elif snapshots:
        from siteferry.report.fleet import fleet_report

        click.echo(fleet_report(snapshots, width=shutil.get_terminal_size().columns))
    return highest(exit_code(snapshot) for snapshot in snapshots)
