"""Follows runs until they end: snapshots from the ledger to a printer, and the final report."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import click

from siteferry.cli.lost_run import lost
from siteferry.errors import NoWorker, UnknownRun
from siteferry.ledger.connection import Connection
from siteferry.ledger.runs import Runs
from siteferry.ledger.slots import SlotLedger
from siteferry.report.as_json import dumps
from siteferry.report.as_text import report
from siteferry.report.outcome import exit_code, highest
from siteferry.report.printer import choose_printer, progress_stream
from siteferry.run import RunState, Snapshot

POLL_SECONDS = 0.1
_FIRST_POLLS, _FIRST_POLL_SECONDS = 40, 0.025
"""A run with little to do is over before a person could read a line of progress."""
NO_WORKER_SECONDS = 10.0


def follow(
    connection: Connection,
    names: Sequence[str],
    *,
    json: bool,
    quiet: bool,
    check: Callable[[], None],
) -> list[Snapshot]:
    """Show the progress of runs until all have ended; gives their last snapshots.

    Args:
        check: called at each look, for what must be kept alive beside the command.

    Raises:
        NoWorker: a run waits, and for ten seconds no worker has answered.
        RunLost: the ledger knew a run, and knows it no more.
        UnknownRun, LedgerUnreachable: from the ledger.
    """
    runs, slots = Runs(connection), SlotLedger(connection)
    ended: dict[str, Snapshot] = {}
    seen: dict[str, Snapshot] = {}
    alone_since: float | None = None
    looks = 0
    stream = progress_stream(json)
    with choose_printer(stream.isatty(), json, quiet) as printer:
        while True:
            check()
            waiting = False
            for name in names:
                if name in ended:
                    continue
                try:
                    snapshot = runs.snapshot(name, details=False)
                except UnknownRun as error:
                    if name in seen:
                        raise lost(seen[name]) from error
                    raise
                seen[name] = snapshot
                if snapshot.state.ended:
                    ended[name] = runs.snapshot(name)
                    printer.close(snapshot)
                else:
                    printer.update(snapshot)
                    waiting |= snapshot.state is RunState.QUEUED
            if len(ended) == len(set(names)):
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
            time.sleep(_FIRST_POLL_SECONDS if looks < _FIRST_POLLS else POLL_SECONDS)


def conclude(snapshots: Sequence[Snapshot], *, json: bool, many: bool) -> int:
    """Print the final report; gives the exit code."""
    if json:
        click.echo(dumps(snapshots, many))
    else:
        for snapshot in snapshots:
            click.echo(report(snapshot))
    return highest(exit_code(snapshot) for snapshot in snapshots)
