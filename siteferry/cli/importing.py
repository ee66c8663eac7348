"""`siteferry import`: start imports, follow them, report."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack

import click

from siteferry.cli.following import conclude, follow
from siteferry.cli.ledger_access import Ledger, open_ledger
from siteferry.cli.options import GlobalOptions
from siteferry.errors import NoWorker, SiteferryError, TargetHeld
from siteferry.run import RunState
from siteferry.settings import Settings
from siteferry.websites import Website, check_sources, list_websites, load_website


@click.command("import")
@click.argument("sites", nargs=-1, metavar="SITE...")
@click.option("--all", "every", is_flag=True, help="All websites of the configuration.")
@click.option("--detach", is_flag=True, help="Start the runs, print their names, do not wait.")
@click.option(
    "--if-not-running", is_flag=True, help="Succeed quietly where a run is under way (for cron)."
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("--quiet", "-q", is_flag=True, help="Show no progress.")
@click.pass_obj
def import_command(
    options: GlobalOptions,
    sites: tuple[str, ...],
    every: bool,
    detach: bool,
    if_not_running: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Publish websites: from their workspaces to their hosts.

    Only what changed is sent, and nothing of the live site is touched before all of it has arrived.

    \b
    siteferry import example
    siteferry import example shop --json
    siteferry import --all --detach --if-not-running
    """
    if bool(sites) == every:
        raise click.UsageError("name at least one website, or --all (and not both)")
    settings = options.load()
    names = list_websites(settings) if every else list(dict.fromkeys(sites))
    websites = [load_website(name, settings) for name in names]
    if detach and settings.redis.url is None:
        raise click.UsageError(
            "--detach needs a Redis that stays, with workers: set SITEFERRY_REDIS_URL or --redis"
        )
    with ExitStack() as stack:
        ledger = stack.enter_context(open_ledger(settings))
        check = ledger.check
        if ledger.embedded:
            for website in websites:
                # The worker is this machine's: what is missing here is missing for good.
                check_sources(website, settings)
            from siteferry.cli.own_worker import own_worker

            check = stack.enter_context(own_worker(options, settings, ledger))
        many = every or len(sites) > 1
        runs = _start(settings, ledger, websites, if_not_running)
        if not runs:
            if as_json:
                click.echo("[]" if many else "null")
            return
        if detach:
            click.echo("\n".join(runs))
            return
        code = _wait(ledger, runs, check, as_json, quiet, many=many)
    sys.exit(code)


def _start(
    settings: Settings, ledger: Ledger, websites: Sequence[Website], if_not_running: bool
) -> list[str]:
    from scheduler.start import start_import
    from siteferry.broker import make_broker

    broker = make_broker(
        ledger.url,
        username=ledger.username,
        password=ledger.password,
        prefix=settings.redis.key_prefix,
    )
    runs: list[str] = []
    for website in websites:
        try:
            runs.append(start_import(ledger.connection, broker, website))
        except TargetHeld as error:
            if not if_not_running:
                raise
            click.echo(f"{website.name}: {error.message}", err=True)
    return runs


def _wait(
    ledger: Ledger,
    runs: Sequence[str],
    check: Callable[[], None],
    as_json: bool,
    quiet: bool,
    *,
    many: bool,
) -> int:
    while True:
        try:
            snapshots = follow(ledger.connection, runs, json=as_json, quiet=quiet, check=check)
            return conclude(snapshots, json=as_json, many=many)
        except KeyboardInterrupt:
            if _end(ledger, runs, RunState.CANCELLED, None):
                click.echo("interrupted: nothing of the live site was touched", err=True)
                return 130
            click.echo(
                "publishing has begun and is only ever finished; interrupt again to leave it to "
                "the next command",
                err=True,
            )
        except NoWorker as error:
            _end(ledger, runs, RunState.FAILED, error)
            raise


def _end(
    ledger: Ledger, runs: Sequence[str], state: RunState, error: SiteferryError | None
) -> bool:
    """End runs that have not begun to publish; False when one has."""
    from scheduler.end import end_run

    ended = [end_run(ledger.connection, run, state, error) for run in runs]
    return all(ended)
