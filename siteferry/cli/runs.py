"""`siteferry runs`, `status` and `watch`: what the ledger knows."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from siteferry.cli.following import conclude, follow
from siteferry.cli.ledger_access import open_ledger
from siteferry.cli.options import GlobalOptions
from siteferry.errors import UnknownRun
from siteferry.ledger.runs import Runs
from siteferry.report.as_json import dumps
from siteferry.report.as_text import report
from siteferry.report.table import runs_table
from siteferry.run import Snapshot


@click.command()
@click.option("--most", default=20, show_default=True, type=click.IntRange(1, 10_000))
@click.option("--json", "as_json", is_flag=True, help="Print a list as JSON.")
@click.pass_obj
def runs(options: GlobalOptions, most: int, as_json: bool) -> None:
    """List the latest runs, newest first."""
    with open_ledger(options.load()) as ledger:
        snapshots = _snapshots(Runs(ledger.connection), most)
    click.echo(dumps(snapshots, True) if as_json else runs_table(snapshots))


@click.command()
@click.argument("run", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the run as JSON.")
@click.pass_obj
def status(options: GlobalOptions, run: str | None, as_json: bool) -> None:
    """Show one run whole, or the latest."""
    with open_ledger(options.load()) as ledger:
        known = Runs(ledger.connection)
        snapshot = known.snapshot(run or _latest(known))
    click.echo(dumps([snapshot], False) if as_json else report(snapshot, whole=True))


@click.command()
@click.argument("run", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_obj
def watch(options: GlobalOptions, run: str | None, as_json: bool) -> None:
    """Follow a run, or the latest, until it ends; leaving does not stop it."""
    with open_ledger(options.load()) as ledger:
        name = run or _latest(Runs(ledger.connection))
        ended = follow(ledger.connection, [name], json=as_json, quiet=False, check=ledger.check)
    sys.exit(conclude(ended, json=as_json, many=False))


def _latest(known: Runs) -> str:
    names = known.latest(1)
    if not names:
        raise UnknownRun("the ledger knows no run yet", next_step="Start one: siteferry import")
    return names[0]


def _snapshots(known: Runs, most: int) -> Sequence[Snapshot]:
    found: list[Snapshot] = []
    for name in known.latest(most):
        try:
            found.append(known.snapshot(name))
        except UnknownRun:
            continue  # it expired between the list and the look
    return found
