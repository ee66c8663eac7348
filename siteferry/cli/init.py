"""`siteferry init SITE`: a first configuration."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from siteferry.cli.first_files import SETTINGS_TEXT, FirstWebsite
from siteferry.credentials import variable_name
from siteferry.errors import ConfigurationError
from siteferry.settings import Settings, load_settings
from siteferry.settings.document import parse_document, shown_path
from siteferry.settings.loading import settings_file, settings_of
from siteferry.settings.problems import configuration_error
from siteferry.websites import PASSWORD_KEY, USERNAME_KEY, website_from_mapping
from siteferry.websites.loading import files_of

if TYPE_CHECKING:
    from siteferry.cli.options import GlobalOptions


@click.command("init")
@click.argument("site")
@click.option("--host", help="Host of the FTP server.")
@click.option("--user", help="User name; without one it is fetched from the credential store.")
@click.option("--remote-dir", help="Directory on the server.  [default: /]")
@click.option("--source", help="Directory of the workspace to publish.  [default: output]")
@click.option("--workspace", help="Folder below paths.workspaces.  [default: SITE]")
@click.option(
    "--security",
    type=click.Choice(["explicit", "implicit", "none", "auto"]),
    default="explicit",
    show_default=True,
    help="TLS of the control connection; auto goes on in plain where the server has none.",
)
@click.pass_obj
def init(
    options: GlobalOptions,
    site: str,
    host: str | None,
    user: str | None,
    remote_dir: str | None,
    source: str | None,
    workspace: str | None,
    security: str,
) -> None:
    """Write a first configuration for SITE, asking for what it needs.

    Writes config/websites/SITE.yaml, and config/siteferry.yaml where there is none. Nothing is
    overwritten, and no password is asked for or written.

    \b
    Examples:
      siteferry init example
      siteferry init example --host ftp.example.com --user u123 --remote-dir /public_html
    """
    file, _ = settings_file(options.config, os.environ)
    settings = load_settings(file) if file.exists() else _settings_to_be(file, os.environ)
    taken = files_of(site, settings)
    if taken:
        raise ConfigurationError(
            f"website {site} is there already: {shown_path(taken[0])}",
            next_step="Edit that file, or choose another name.",
        )
    ask = sys.stdin.isatty()
    first = FirstWebsite(
        site=site,
        host=host or _host(ask),
        user=(_asked("User name (empty: from the credential store)", "", ask, user)) or None,
        remote_dir=_asked("Directory on the server", "/", ask, remote_dir),
        workspace=workspace or site,
        source=_asked("Directory of the workspace to publish", "output", ask, source),
        security=security,
    )
    target = settings.paths.websites / f"{site}.yaml"
    _check(first, target, settings)
    if not file.exists():
        _write(file, SETTINGS_TEXT)
    _write(target, first.text())
    _say_what_is_next(first, settings)


def _settings_to_be(file: Path, environ: Mapping[str, str]) -> Settings:
    document = parse_document(SETTINGS_TEXT.encode(), shown_path(file))
    settings, problems = settings_of(document, file, environ)
    if settings is None:
        raise configuration_error(problems)
    return settings


def _host(ask: bool) -> str:
    if ask:
        return str(click.prompt("Host of the FTP server", err=True))
    raise ConfigurationError(
        "the host of the FTP server is not given", next_step="Add --host HOST."
    )


def _asked(question: str, default: str, ask: bool, given: str | None) -> str:
    if given is not None:
        return given
    return str(click.prompt(question, default=default, err=True)) if ask else default


def _check(first: FirstWebsite, target: Path, settings: Settings) -> None:
    """Raise what is wrong with the answers before anything is written."""
    document = parse_document(first.text().encode(), shown_path(target))
    website_from_mapping(document.data, f"{shown_path(target)} (not written)", settings)


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise ConfigurationError(
            f"{shown_path(path)} cannot be written: {error.strerror}",
            next_step="Nothing that was there has been changed.",
        ) from error
    click.echo(f"wrote {shown_path(path)}")


def _say_what_is_next(first: FirstWebsite, settings: Settings) -> None:
    keys = [PASSWORD_KEY] if first.user is not None else [USERNAME_KEY, PASSWORD_KEY]
    click.echo("\nNext:")
    source = settings.paths.workspaces / first.workspace / first.source
    click.echo(f"  put the site into {shown_path(source)}")
    for key in keys:
        if settings.credentials.backend == "environment":
            variable = variable_name(first.site, key)
            click.echo(f"  set {variable}, or {variable}_FILE to a file's path, for the worker")
        elif settings.credentials.backend == "file":
            click.echo(f"  siteferry credential add {first.site} {key}")
        else:
            click.echo(f"  store {first.site}/{key} in {settings.credentials.backend}")
    click.echo("  siteferry config check")
    click.echo(f"  siteferry import {first.site}")
