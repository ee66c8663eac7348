"""`siteferry plan` and `--dry-run`: what an import would do, found out without doing it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from siteferry.cli.ad_hoc_password import WithPassword
from siteferry.cli.following import conclude
from siteferry.cli.import_options import run_options, what_options
from siteferry.cli.launch import INTERRUPTED, Launch, launching
from siteferry.cli.options import GlobalOptions
from siteferry.cli.plan_file import write_plan
from siteferry.ledger.findings import Findings
from siteferry.report.outcome import exit_code, highest
from siteferry.report.plan import Plan, Planned, dumps, plan_table
from siteferry.run import RunState, Snapshot
from siteferry.settings import Settings
from siteferry.tree.plan_digest import check_expected
from siteferry.websites import Website, load_website
from siteferry.websites.run_options import RunOptions

_DIRECTORY = "mkdir"


@click.command()
@click.argument("site", metavar="SITE")
@what_options
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the plan there, for `siteferry import SITE --plan FILE`.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
@click.pass_obj
def plan(
    options: GlobalOptions, /, site: str, out: Path | None, as_json: bool, **what: Any
) -> None:
    """Show what an import would create, replace and delete. Nothing is changed.

    \b
    siteferry plan example
    siteferry plan example --delete --out example.plan
    siteferry import example --plan example.plan
    """
    wanted = run_options(**what)
    settings = options.load()
    website = load_website(site, settings)
    sys.exit(
        plan_websites(options, settings, [website], wanted, as_json=as_json, many=False, out=out)
    )


def plan_websites(
    options: GlobalOptions,
    settings: Settings,
    websites: Sequence[Website],
    wanted: RunOptions,
    *,
    as_json: bool,
    many: bool,
    out: Path | None = None,
    supplied: WithPassword | None = None,
) -> int:
    """Make and print the plans of `websites`; gives the exit code."""
    with launching(options, settings, websites, supplied) as launch:
        snapshots = _dry_runs(launch, websites, wanted, hashed=out is not None)
        if snapshots is None:
            return INTERRUPTED
        ended_badly = [s for s in snapshots if s.state not in (RunState.DONE, RunState.INCOMPLETE)]
        if ended_badly:
            return conclude(snapshots, json=as_json, many=many)
        plans = [_plan(launch, w, s) for w, s in zip(websites, snapshots, strict=True)]
    if out is not None and not any(snapshot.failed for snapshot in snapshots):
        write_plan(out, plans[0], wanted)
    if as_json:
        click.echo(dumps(plans, many))
    else:
        click.echo("\n".join(plan_table(made) for made in plans))
    return highest(exit_code(snapshot) for snapshot in snapshots)


def refuse_other_plan(launch: Launch, website: Website, wanted: RunOptions) -> None:
    """Plan anew, and see that it comes to the same, before anything is sent.

    Raises:
        PlanOutdated: it does not.
    """
    snapshots = _dry_runs(launch, [website], replace(wanted, expected=None), hashed=True)
    if snapshots is None:
        raise click.Abort
    if snapshots[0].state is RunState.DONE:
        # Of any other end the run itself tells the reason.
        check_expected(_plan(launch, website, snapshots[0]).steps, wanted.expected or "")


def _dry_runs(
    launch: Launch, websites: Sequence[Website], wanted: RunOptions, *, hashed: bool
) -> list[Snapshot] | None:
    dry = replace(wanted, dry_run=True, hashed=hashed)
    started = (launch.start(website, dry) for website in websites)
    return launch.wait([run for run in started if run], as_json=True, quiet=True)


def _plan(launch: Launch, website: Website, snapshot: Snapshot) -> Plan:
    rows = sorted(Findings(launch.ledger.connection).planned(snapshot.run))
    return Plan(
        snapshot,
        tuple(Planned(path, *row) for path, row in rows if row[0] != _DIRECTORY),
        tuple(path for path, row in rows if row[0] == _DIRECTORY),
        website.ftp.max_connections,
    )
