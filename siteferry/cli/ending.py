"""`siteferry cancel` and `retry`: end a run, and go on with one that has ended."""

from __future__ import annotations

import sys
from dataclasses import replace

import click

from siteferry.cli.ad_hoc_password import with_password
from siteferry.cli.following import conclude
from siteferry.cli.launch import INTERRUPTED, launching
from siteferry.cli.ledger_access import open_ledger
from siteferry.cli.options import GlobalOptions
from siteferry.errors import ConfigurationError, RunNotEnding
from siteferry.ledger.runs import Runs
from siteferry.run import RunState
from siteferry.websites import load_website
from siteferry.websites.run_options import RunOptions


@click.command()
@click.argument("run")
@click.pass_obj
def cancel(options: GlobalOptions, run: str) -> None:
    """Cancel a run. Workers stop between two files; the live site is not touched.

    Once publishing has begun it is only ever finished, and this is refused.
    """
    from scheduler.end import end_run

    with open_ledger(options.load()) as ledger:
        snapshot = Runs(ledger.connection).snapshot(run, details=False)
        if snapshot.state.ended:
            raise RunNotEnding(f"run {run} has ended already: {snapshot.state.value}")
        if not end_run(ledger.connection, run, RunState.CANCELLED, None):
            raise RunNotEnding(
                f"run {run} publishes: from there on it is only ever finished, or the site would "
                "stay a mixture of old and new files",
                next_step=f"Wait for it: siteferry watch {run}",
            )
    click.echo(f"{run} is cancelled; nothing of the live site was touched")


@click.command()
@click.argument("run")
@click.option("--detach", is_flag=True, help="Start the run, print its name, do not wait.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("--quiet", "-q", is_flag=True, help="Show no progress.")
@click.pass_obj
def retry(options: GlobalOptions, run: str, detach: bool, as_json: bool, quiet: bool) -> None:
    """Go on with a run that ended before it was done: a new run, with the same options, which uses
    what that one has sent."""
    settings = options.load()
    if detach and settings.redis.url is None:
        raise click.UsageError(
            "--detach needs a Redis that stays, with workers: set SITEFERRY_REDIS_URL or --redis"
        )
    with open_ledger(settings) as ledger:
        known = Runs(ledger.connection)
        snapshot, asked = known.snapshot(run, details=False), RunOptions.of(known.options(run))
    if not snapshot.state.ended:
        raise ConfigurationError(
            f"run {run} has not ended: {snapshot.state.value}",
            next_step=f"Watch it: siteferry watch {run}",
        )
    if asked.dry_run:
        what = "the same directory and URL" if asked.ad_hoc is not None else snapshot.site
        raise ConfigurationError(f"run {run} is a dry run", next_step=f"siteferry import {what}")
    if snapshot.state is RunState.DONE and not snapshot.failed:
        click.echo(f"run {run} is done: nothing is left of it")
        return
    # What was emptied need not be emptied again, and what was planned may not be all that is left.
    wanted = replace(asked, purge_first=False, expected=None)
    supplied = with_password(asked.ad_hoc, settings) if asked.ad_hoc is not None else None
    if supplied is not None:
        website = supplied.ad_hoc.website()
        wanted = replace(wanted, ad_hoc=supplied.ad_hoc)
    else:
        website = load_website(snapshot.site, settings)
    with launching(options, settings, [website], supplied) as launch:
        again = launch.start(website, wanted)
        if again is None:
            return
        if detach:
            click.echo(again)
            return
        waited = launch.wait([again], as_json=as_json, quiet=quiet)
        if waited.cut_short:
            sys.exit(INTERRUPTED)
        code = conclude(waited.snapshots, json=as_json, many=False)
    sys.exit(code)
