"""`siteferry plan` and `--dry-run`: what an import would do, found out without doing it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from siteferry.cli.ad_hoc_password import WithPassword
from siteferry.cli.fleet import Fleet, Output, follow_fleet, refused_before, start_fleet
from siteferry.cli.following import conclude
from siteferry.cli.import_options import run_options, what_options
from siteferry.cli.launch import INTERRUPTED, Launch, Waited, launching
from siteferry.cli.options import GlobalOptions
from siteferry.cli.plan_file import write_plan
from siteferry.cli.selection import Selection, selection_options, with_sources
from siteferry.ledger.findings import Findings
from siteferry.report.outcome import exit_code, highest
from siteferry.report.plan import Plan, Planned, dumps, plan_table
from siteferry.run import RunState, Snapshot
from siteferry.settings import Settings
from siteferry.tree.plan_digest import check_expected
from siteferry.websites import Chosen, Website
from siteferry.websites.run_options import RunOptions

_DIRECTORY = "mkdir"
_PLANNED = (RunState.DONE, RunState.INCOMPLETE)


@click.command()
@click.argument("sites", nargs=-1, metavar="SITE...")
@selection_options
@what_options
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the plan there, for `siteferry import SITE --plan FILE`.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
@click.pass_obj
def plan(
    options: GlobalOptions,
    /,
    sites: tuple[str, ...],
    every: bool,
    groups: tuple[str, ...],
    out: Path | None,
    as_json: bool,
    **what: Any,
) -> None:
    """Show what an import would create, replace and delete. Nothing is changed.

    \b
    siteferry plan example
    siteferry plan example --delete --out example.plan
    siteferry import example --plan example.plan
    siteferry plan --group clients --json
    """
    selection = Selection(sites, groups, every)
    wanted = run_options(**what)
    if out is not None and selection.many:
        raise click.UsageError("--out is for the plan of one website, by its name")
    settings = options.load()
    chosen = selection.choose(settings)
    many = selection.many
    sys.exit(plan_websites(options, settings, chosen, wanted, as_json=as_json, many=many, out=out))


def plan_websites(
    options: GlobalOptions,
    settings: Settings,
    chosen: Sequence[Chosen],
    wanted: RunOptions,
    *,
    as_json: bool,
    many: bool,
    out: Path | None = None,
    supplied: WithPassword | None = None,
) -> int:
    """Make and print the plans of websites; gives the exit code. What cannot be planned is told as
    an import would tell it, beside the plans of the others."""
    if many and settings.redis.url is None:
        chosen = with_sources(chosen, settings)
    websites = {one.name: one.website for one in chosen if one.website is not None}
    if not websites:
        results = Fleet(refused=refused_before(chosen)).results(chosen, ())
        return _print(results, [], as_json=as_json, many=many)
    dry = _dry(wanted, hashed=out is not None)
    with launching(options, settings, list(websites.values()), supplied) as launch:
        if many:
            fleet = start_fleet(launch, chosen, dry)
            waited = follow_fleet(launch, fleet, Output(as_json=True, quiet=True))
            results = fleet.results(chosen, waited.snapshots)
        else:
            fleet, waited = Fleet(), _dry_run(launch, websites[chosen[0].name], dry)
            results = waited.snapshots
        if fleet.interrupted or waited.cut_short:
            return INTERRUPTED
        plans = [_plan(launch, websites[s.site], s) for s in results if s.state in _PLANNED]
    if out is not None and plans and not plans[0].snapshot.failed:
        write_plan(out, plans[0], wanted)
    return _print(results, plans, as_json=as_json, many=many)


def _print(results: Sequence[Snapshot], plans: Sequence[Plan], *, as_json: bool, many: bool) -> int:
    """Of each result its plan, or as of an import what kept it from being planned."""
    planned = {plan.snapshot.run: plan for plan in plans}
    if as_json:
        click.echo(dumps([planned.get(s.run, s) for s in results], many))
    else:
        if plans:
            click.echo("\n".join(plan_table(made) for made in plans))
        others = [snapshot for snapshot in results if snapshot.run not in planned]
        if others:
            conclude(others, json=False, many=many)
    return highest(exit_code(snapshot) for snapshot in results)


def refuse_other_plan(launch: Launch, website: Website, wanted: RunOptions) -> None:
    """Plan anew, and see that it comes to the same, before anything is sent.

    Raises:
        PlanOutdated: it does not.
    """
    dry = _dry(replace(wanted, expected=None), hashed=True)
    waited = _dry_run(launch, website, dry)
    if waited.cut_short:
        raise click.Abort
    snapshot = waited.snapshots[0]
    if snapshot.state is RunState.DONE:
        # Of any other end the run itself tells the reason.
        check_expected(_plan(launch, website, snapshot).steps, wanted.expected or "")


def _dry(wanted: RunOptions, *, hashed: bool) -> RunOptions:
    return replace(wanted, dry_run=True, hashed=hashed)


def _dry_run(launch: Launch, website: Website, dry: RunOptions) -> Waited:
    return launch.wait([launch.enter(website, dry)], as_json=True, quiet=True)


def _plan(launch: Launch, website: Website, snapshot: Snapshot) -> Plan:
    rows = sorted(Findings(launch.ledger.connection).planned(snapshot.run))
    return Plan(
        snapshot,
        tuple(Planned(path, *row) for path, row in rows if row[0] != _DIRECTORY),
        tuple(path for path, row in rows if row[0] == _DIRECTORY),
        website.ftp.max_connections,
    )
