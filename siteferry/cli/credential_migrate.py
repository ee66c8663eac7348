"""`siteferry credential migrate`: hard-coded logins into the store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import click

from siteferry.cli.options import GlobalOptions
from siteferry.credentials import Stores
from siteferry.credentials.migrate import Migration, migrate, restore
from siteferry.report.as_text import one_line


@click.command("migrate")
@click.argument("site", required=False)
@click.option("--all", "every", is_flag=True, help="All websites.")
@click.option("--dry-run", is_flag=True, help="Tell what would be done, and do nothing.")
@click.option(
    "--restore",
    "backup",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Write a website's file back from this encrypted copy.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a list as JSON.")
@click.pass_context
def migrate_command(
    ctx: click.Context,
    site: str | None,
    every: bool,
    dry_run: bool,
    backup: Path | None,
    as_json: bool,
) -> None:
    """Move user names and passwords that stand in website files into the credential store, and
    write references in their places. Comments, order and formatting stay; an encrypted copy of each
    file is kept, whose key is in the store. It may be repeated, and interrupted, at any point.

    Exit code 0, or 1 where something has to be replaced by hand.

    \b
    Examples:
      siteferry credential migrate --all --dry-run
      siteferry credential migrate example
      siteferry credential migrate --restore credentials/backups/example-20260131T….json
    """
    if sum((site is not None, every, backup is not None)) != 1:
        raise click.UsageError("name one SITE, or --all, or --restore FILE")
    options: GlobalOptions = ctx.obj
    stores = Stores(options.load())
    if backup is not None:
        click.echo(one_line(f"{restore(stores, backup)} is as it was"))
        return
    done = migrate(stores, site, dry_run=dry_run)
    if as_json:
        click.echo(json.dumps([_facts(one) for one in done], indent=2, ensure_ascii=False))
    else:
        for one in done:
            for line in _lines(one):
                click.echo(one_line(line))
    ctx.exit(1 if any(one.by_hand for one in done) else 0)


def _lines(one: Migration) -> Iterator[str]:
    if not one.logins:
        yield f"{one.site}: no login in {one.file}"
    for login in one.logins:
        reason = f" ({login.detail})" if login.detail else ""
        yield f"{one.file}:{login.line}: {login.where}: {login.entry}: {login.step}{reason}"
    if one.backup:
        yield f"{one.site}: an encrypted copy of the file is {one.backup}"


def _facts(one: Migration) -> dict[str, object]:
    return {
        "site": one.site,
        "file": str(one.file),
        "backup": str(one.backup) if one.backup else None,
        "logins": [
            {
                "where": login.where,
                "line": login.line,
                "entry": login.entry,
                "step": login.step.name.lower(),
                "detail": login.detail,
            }
            for login in one.logins
        ],
    }
