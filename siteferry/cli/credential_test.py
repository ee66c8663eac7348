"""`siteferry credential test`: fetches a login and logs in with it, once."""

from __future__ import annotations

import json

import click

from siteferry.cli.options import GlobalOptions
from siteferry.credentials import Stores, resolve_login
from siteferry.dispatch.work import endpoint_of
from siteferry.errors import CredentialError, LoginRefused, SiteferryError
from siteferry.ftp.session import Session
from siteferry.report.as_text import one_line
from siteferry.websites import load_website


@click.command("test")
@click.argument("site")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def test(ctx: click.Context, site: str, as_json: bool) -> None:
    """Fetch the login of a website, log in to its host with it, and say what happened.

    Exit code 0 when the host accepts it, 3 when the store or the host refuses, 4 when the host
    cannot be reached. It is one login, whatever workers have been told.
    """
    options: GlobalOptions = ctx.obj
    settings = options.load()
    website = load_website(site, settings)
    facts: dict[str, object] = {"site": site, "host": website.ftp.host, "store": None, "ok": False}
    stores = Stores(settings)
    try:
        facts["store"] = stores.store().name
        login = resolve_login(website, stores)
        session = Session(endpoint_of(website))
        session.open(login.username, login.password)
        facts |= {"ok": True, "encrypted": session.encrypted, "server": session.welcome}
        session.leave()
    except SiteferryError as error:
        if not as_json:
            raise
        facts |= {"stage": _stage(error), "error": error.message, "reply": error.reply}
        click.echo(json.dumps(facts, indent=2, ensure_ascii=False))
        ctx.exit(error.exit_code)
    if as_json:
        click.echo(json.dumps(facts, indent=2, ensure_ascii=False))
        return
    how = "over TLS" if facts["encrypted"] else "in plain text"
    click.echo(one_line(f"{website.ftp.host} accepts the login of {site}, {how}"))


def _stage(error: SiteferryError) -> str:
    """Where it ended: in the store, at the login, or on the way to the host."""
    if isinstance(error, CredentialError):
        return "store"
    return "login" if isinstance(error, LoginRefused) else "host"
