"""`siteferry account`: accounts whose login the host has refused."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import asdict

import click

from siteferry.cli.ledger_access import open_ledger
from siteferry.cli.options import GlobalOptions
from siteferry.errors import ConfigurationError
from siteferry.ledger.accounts import Stop, StoppedAccounts
from siteferry.report.as_text import one_line


@click.group("account")
def account() -> None:
    """List accounts whose login is stopped; resume one."""


@account.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print a list as JSON.")
@click.pass_obj
def list_command(options: GlobalOptions, as_json: bool) -> None:
    """List accounts that no worker logs in to, because the host has refused it."""
    with open_ledger(options.load()) as ledger:
        stops = StoppedAccounts(ledger.connection).every()
    if as_json:
        click.echo(json.dumps([asdict(stop) for stop in stops], indent=2, ensure_ascii=False))
        return
    for stop in stops:
        click.echo(_line(stop))
    if not stops:
        click.echo("no account is stopped")


@account.command("resume")
@click.argument("name", metavar="ACCOUNT")
@click.pass_obj
def resume(options: GlobalOptions, name: str) -> None:
    """Let an account log in again at once, after its credential has been corrected.

    \b
    Example:
      siteferry account resume u123456@ftp.example.com:21
    """
    with open_ledger(options.load()) as ledger:
        known = StoppedAccounts(ledger.connection)
        if not known.resume(name):
            raise ConfigurationError(
                f"nothing is known against an account {name}",
                next_step="siteferry account list names those that are stopped.",
            )
    click.echo(one_line(f"{name} may log in again"))


def _line(stop: Stop) -> str:
    until = dt.datetime.fromtimestamp(stop.until, dt.UTC)
    times = "once" if stop.refusals == 1 else f"{stop.refusals} times"
    return one_line(
        f"{stop.account}: refused {times}, tried again from {until:%H:%M:%S} UTC; {stop.reply}"
    )
