"""`siteferry import`: start imports, follow them, report."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from siteferry.cli.ad_hoc import ad_hoc_website, certificate_options
from siteferry.cli.ad_hoc_password import with_password
from siteferry.cli.following import conclude
from siteferry.cli.import_options import Rate, confirm_purge, run_options, what_options
from siteferry.cli.launch import INTERRUPTED, Launch, launching
from siteferry.cli.options import GlobalOptions
from siteferry.cli.plan_file import read_plan
from siteferry.cli.planning import plan_websites, refuse_other_plan
from siteferry.websites import list_websites, load_website
from siteferry.websites.run_options import RunOptions


@click.command("import")
@click.argument("sites", nargs=-1, metavar="SITE... | DIR URL")
@click.option("--all", "every", is_flag=True, help="All websites of the configuration.")
@click.option("--dry-run", is_flag=True, help="Show what would be done; nothing is changed.")
@click.option(
    "--plan",
    "plan_path",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Carry out this plan exactly (`siteferry plan SITE --out FILE`), or nothing.",
)
@what_options
@certificate_options
@click.option("--purge-first", is_flag=True, help="Empty the remote directory before sending.")
@click.option("--yes", is_flag=True, help="Do not ask before --purge-first.")
@click.option(
    "--on-failure",
    type=click.Choice(["hold", "publish"]),
    help="Files failed: hold (publish nothing) or publish the others.",
)
@click.option("--connections", type=click.IntRange(1, 256), help="At most so many to the host.")
@click.option("--bandwidth", type=Rate(), help="Bytes per second for the whole run, as in 2MiB.")
@click.option("--detach", is_flag=True, help="Start the runs, print their names, do not wait.")
@click.option(
    "--if-not-running", is_flag=True, help="Succeed quietly where a run is under way (for cron)."
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("--quiet", "-q", is_flag=True, help="Show no progress.")
@click.pass_obj
def import_command(
    options: GlobalOptions,
    /,
    sites: tuple[str, ...],
    every: bool,
    dry_run: bool,
    plan_path: Path | None,
    ca_file: Path | None,
    fingerprint: str | None,
    yes: bool,
    detach: bool,
    if_not_running: bool,
    as_json: bool,
    quiet: bool,
    **what: Any,
) -> None:
    """Publish websites: from their workspaces to their hosts.

    Only what changed is sent, and nothing of the live site is touched before all of it has arrived.

    \b
    siteferry import example
    siteferry import example shop --json
    siteferry import example --delete --dry-run
    siteferry import --all --detach --if-not-running

    A directory and a URL need no configuration. The password comes from SITEFERRY_FTP_PASSWORD,
    SITEFERRY_FTP_PASSWORD_FILE, the credential store, or the terminal.

    \b
    siteferry import ./public ftps://u123456@ftp.example.com/public_html
    siteferry import ./public ftps://u123456@ftp.example.com/public_html --dry-run
    """
    if bool(sites) == every:
        raise click.UsageError("name at least one website, or --all (and not both)")
    wanted = run_options(**what)
    given = ad_hoc_website(sites, ca_file, fingerprint)
    if given is not None and plan_path is not None:
        raise click.UsageError("--plan is for websites that have a file")
    settings = options.load()
    if detach and not dry_run and settings.redis.url is None:
        raise click.UsageError(
            "--detach needs a Redis that stays, with workers: set SITEFERRY_REDIS_URL or --redis"
        )
    supplied = with_password(given, settings) if given is not None else None
    if supplied is not None:
        websites = [supplied.ad_hoc.website()]
        wanted = replace(wanted, ad_hoc=supplied.ad_hoc)
    else:
        names = list_websites(settings) if every else list(dict.fromkeys(sites))
        websites = [load_website(name, settings) for name in names]
    many = every or (supplied is None and len(sites) > 1)
    if dry_run:
        sys.exit(
            plan_websites(
                options, settings, websites, wanted, as_json=as_json, many=many, supplied=supplied
            )
        )
    names = [website.name for website in websites]
    if plan_path is not None:
        wanted = _planned(plan_path, names, wanted)
    if wanted.purge_first:
        confirm_purge(names, yes=yes)
    with launching(options, settings, websites, supplied) as launch:
        if wanted.expected is not None:
            refuse_other_plan(launch, websites[0], wanted)
        started = (launch.start(w, wanted, if_not_running=if_not_running) for w in websites)
        runs = [run for run in started if run is not None]
        code = _follow(launch, runs, detach=detach, as_json=as_json, quiet=quiet, many=many)
    sys.exit(code)


def _follow(
    launch: Launch, runs: list[str], *, detach: bool, as_json: bool, quiet: bool, many: bool
) -> int:
    if not runs:
        if as_json:
            click.echo("[]" if many else "null")
        return 0
    if detach:
        click.echo("\n".join(runs))
        return 0
    snapshots = launch.wait(runs, as_json=as_json, quiet=quiet)
    return INTERRUPTED if snapshots is None else conclude(snapshots, json=as_json, many=many)


def _planned(path: Path, names: list[str], given: RunOptions) -> RunOptions:
    """The options of the plan in `path`, with its digest."""
    if given != RunOptions():
        raise click.UsageError("--plan brings its own options; give none beside it")
    plan = read_plan(path)
    if names != [plan.site]:
        raise click.UsageError(f"{path} is a plan of {plan.site}: name just that website")
    return plan.to_carry_out
