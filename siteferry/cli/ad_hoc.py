"""`import ./DIR ftps://user@host/path`: a website that has no file, from the arguments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from siteferry.errors import ConfigurationError
from siteferry.websites.ad_hoc import AdHocWebsite
from siteferry.websites.ad_hoc_url import is_url, parse_server_url

_Command = TypeVar("_Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--ca-file", type=click.Path(exists=True, dir_okay=False, path_type=Path),
                 help="With a URL: PEM file of the authorities to trust for it."),
    click.option("--fingerprint", metavar="sha256:HEX",
                 help="With a URL: accept just this certificate of the host."),
)  # fmt: skip


def certificate_options(command: _Command) -> _Command:
    """Add the options that say which certificate a URL's host must have."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def ad_hoc_website(
    arguments: Sequence[str], ca_file: Path | None, fingerprint: str | None
) -> AdHocWebsite | None:
    """The website that a directory and a URL make; None where there are names of websites, none of
    which can look like a URL.

    Raises:
        ConfigurationError: the two are not as they must be.
        click.UsageError: there is something beside them, or an option that is for them alone.
    """
    if not any(is_url(argument) for argument in arguments):
        if ca_file or fingerprint:
            raise click.UsageError(
                "--ca-file and --fingerprint go with a URL; a website's file has ftp.ca_file and "
                "ftp.fingerprint"
            )
        return None
    if len(arguments) != 2 or is_url(arguments[0]):
        raise click.UsageError("a URL needs one directory before it, and nothing besides")
    if ca_file and fingerprint:
        raise click.UsageError("--ca-file and --fingerprint cannot go together")
    url = parse_server_url(arguments[1])
    if url.security == "none" and (ca_file or fingerprint):
        raise click.UsageError("with ftp:// no certificate is looked at; write ftps://")
    made = AdHocWebsite(
        source=str(_directory(arguments[0])),
        security=url.security,
        username=url.username,
        host=url.host,
        port=url.port,
        remote_dir=url.path,
        ca_file=str(ca_file.absolute()) if ca_file else None,
        fingerprint=fingerprint,
    )
    made.website()  # whatever is wrong with it is said before a password is asked for
    return made


def _directory(text: str) -> Path:
    path = Path(text)
    if not path.is_dir():
        state = "is not a directory" if path.exists() else "does not exist"
        raise ConfigurationError(
            f"the directory to publish, {text!r}, {state}",
            next_step="Name the directory first, then the URL: siteferry import ./DIR URL",
        )
    return path.resolve()
