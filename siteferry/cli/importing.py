"""`siteferry import`: start imports, follow them, report."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from siteferry.cli.ad_hoc import ad_hoc_website, certificate_options
from siteferry.cli.ad_hoc_password import with_password
from siteferry.cli.fleet import Output, import_fleet
from siteferry.cli.following import conclude
from siteferry.cli.import_options import Rate, confirm_purge, run_options, what_options
from siteferry.cli.launch import INTERRUPTED, Launch, launching
from siteferry.cli.options import GlobalOptions
from siteferry.cli.plan_file import read_plan
from siteferry.cli.planning import plan_websites, refuse_other_plan
from siteferry.cli.selection import Selection, selection_options
from siteferry.websites import Chosen
from siteferry.websites.run_options import RunOptions


@click.command("import")
@click.argument("sites", nargs=-1, metavar="SITE... | DIR URL")
@selection_options
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
    "--if-not-running", is_flag=True, help="Succeed where a run is under way already (for cron)."
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option(
    "--quiet",
    "-q",
    is_flag=True,
    help="Show no progress; with --detach, nothing but errors (for cron).",
)
@click.pass_obj
def import_command(
    options: GlobalOptions,
    /,
    sites: tuple[str, ...],
    every: bool,
    groups: tuple[str, ...],
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
    siteferry import --all --detach --if-not-running --quiet
    siteferry import 'client-*' --group shops

    SITE may be a pattern (in quotes, or the shell takes it). Of several websites, one whose file is
    wrong or whose target is held keeps no other from being imported: it is a row of the table.

    A directory and a URL need no configuration. The password comes from SITEFERRY_FTP_PASSWORD,
    SITEFERRY_FTP_PASSWORD_FILE, the credential store, or the terminal.

    \b
    siteferry import ./public ftps://u123456@ftp.example.com/public_html
    siteferry import ./public ftps://u123456@ftp.example.com/public_html --dry-run
    """
    selection = Selection(sites, groups, every)
    wanted = run_options(**what)
    given = ad_hoc_website(sites, ca_file, fingerprint)
    if given is not None and groups:
        raise click.UsageError("a URL and --group cannot go together")
    if plan_path is not None and (given is not None or selection.many):
        raise click.UsageError("--plan is for one website that has a file, by its name")
    settings = options.load()
    if detach and not dry_run and settings.redis.url is None:
        raise click.UsageError(
            "--detach needs a Redis that stays, with workers: set SITEFERRY_REDIS_URL or --redis"
        )
    supplied = with_password(given, settings) if given is not None else None
    many = supplied is None and selection.many
    if supplied is not None:
        website = supplied.ad_hoc.website()
        chosen = [Chosen(website.name, website)]
        wanted = replace(wanted, ad_hoc=supplied.ad_hoc)
    else:
        chosen = selection.choose(settings)
    if dry_run:
        sys.exit(
            plan_websites(
                options, settings, chosen, wanted, as_json=as_json, many=many, supplied=supplied
            )
        )
    names = [one.name for one in chosen]
    if plan_path is not None:
        wanted = _planned(plan_path, names, wanted)
    if wanted.purge_first:
        confirm_purge(names, yes=yes)
    output = Output(as_json=as_json, quiet=quiet, detach=detach)
    if many:
        sys.exit(
            import_fleet(options, settings, chosen, wanted, output, if_not_running=if_not_running)
        )
    websites = [one.website for one in chosen if one.website is not None]
    with launching(options, settings, websites, supplied) as launch:
        if wanted.expected is not None:
            refuse_other_plan(launch, websites[0], wanted)
        run = launch.start(
            websites[0], wanted, if_not_running=if_not_running, quiet=output.told_nothing
        )
        code = _follow(launch, run, output)
    sys.exit(code)


def _follow(launch: Launch, run: str | None, output: Output) -> int:
    if run is None:
        if output.as_json:
            click.echo("null")
        return 0
    if output.detach:
        if not output.quiet:
            click.echo(run)
        return 0
    waited = launch.wait([run], as_json=output.as_json, quiet=output.quiet)
    if waited.cut_short:
        return INTERRUPTED
    return conclude(waited.snapshots, json=output.as_json, many=False)


def _planned(path: Path, names: list[str], given: RunOptions) -> RunOptions:
    """The options of the plan in `path`, with its digest."""
    if given != RunOptions():
        raise click.UsageError("--plan brings its own options; give none beside it")
    plan = read_plan(path)
    if names != [plan.site]:
        raise click.UsageError(f"{path} is a plan of {plan.site}: name just that website")
    return plan.to_carry_out
