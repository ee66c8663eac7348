"""The password of a website that has no file: from a variable, the store, or the terminal.

The first of these that has one:

1. `SITEFERRY_FTP_PASSWORD`, or the file that `SITEFERRY_FTP_PASSWORD_FILE` names;
2. the selected credential store, under `AdHocWebsite.credential` and `FTP_PASSWORD`;
3. somebody at the terminal, asked without echo.

A store's is fetched again by the worker that logs in. The others reach only the worker that the
command brings along, by its environment: in the variable of the store `environment` for that
account, so that it can never be taken for another account's.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import click

from siteferry.credentials import Stores, variable_name
from siteferry.credentials.base import checked_value
from siteferry.credentials.secret_file import read_secret_file
from siteferry.errors import ConfigurationError, CredentialAbsent, CredentialMalformed
from siteferry.report.as_text import one_line
from siteferry.secret import Secret
from siteferry.settings import Settings
from siteferry.websites import PASSWORD_KEY
from siteferry.websites.ad_hoc import AdHocWebsite

VARIABLE = "SITEFERRY_FTP_PASSWORD"
FILE_VARIABLE = f"{VARIABLE}_FILE"


@dataclass(frozen=True, slots=True)
class WithPassword:
    """A website as its run keeps it, and what its worker's environment needs for it.

    typed: somebody has just given the password, so an account that was stopped for a wrong one may
        try again.
    """

    ad_hoc: AdHocWebsite
    environment: Mapping[str, Secret] = field(default_factory=dict)
    typed: bool = False


def with_password(
    ad_hoc: AdHocWebsite, settings: Settings, environ: Mapping[str, str] | None = None
) -> WithPassword:
    """See to the password before a run is started. With a Redis that is configured nothing is
    looked up, for its workers may be elsewhere and have a store of their own.

    Raises:
        CredentialError: there is none, the store does not give it, or it cannot be one.
        ConfigurationError: it is in a variable, which the workers of a configured Redis do not see.
    """
    if ad_hoc.security == "none":
        click.echo(
            "ftp:// means no TLS: user name, password and files go in plain text, for anybody on "
            "the way to read; ftps:// encrypts them",
            err=True,
        )
    ad_hoc = replace(ad_hoc, brought=False)
    given = _of_environment(os.environ if environ is None else environ)
    if settings.redis.url is not None:
        if given is not None:
            raise ConfigurationError(
                f"the workers of the configured Redis do not get what is in {VARIABLE} here",
                next_step=f"Unset it, and store the password as {ad_hoc.credential}/{PASSWORD_KEY} "
                "where they look for credentials; or write a website's file: siteferry init SITE",
            )
        return WithPassword(ad_hoc)
    if given is not None:
        return _brought(ad_hoc, given)
    try:
        Stores(settings).get(None, ad_hoc.credential, PASSWORD_KEY)
    except CredentialAbsent:
        return replace(_brought(ad_hoc, _asked(ad_hoc)), typed=True)
    return WithPassword(ad_hoc)


def _brought(ad_hoc: AdHocWebsite, password: Secret) -> WithPassword:
    checked_value(password, f"the password of {ad_hoc.account_text}")
    variable = variable_name(ad_hoc.credential, PASSWORD_KEY)
    return WithPassword(replace(ad_hoc, brought=True), {variable: password})


def _of_environment(environ: Mapping[str, str]) -> Secret | None:
    text, file = environ.get(VARIABLE), environ.get(FILE_VARIABLE)
    if text and file:
        raise CredentialMalformed(
            f"both {VARIABLE} and {FILE_VARIABLE} are set", next_step="Unset one of them."
        )
    if not file:
        return Secret(text) if text else None
    found = read_secret_file(Path(file), f"the file that {FILE_VARIABLE} names")
    if found is None:
        raise CredentialMalformed(
            f"{FILE_VARIABLE} names no file",
            next_step="Set it to the path of a file that holds the password and nothing else.",
        )
    return found


def _asked(ad_hoc: AdHocWebsite) -> Secret:
    if not sys.stdin.isatty():
        raise CredentialAbsent(
            f"there is no password for {ad_hoc.account_text}",
            next_step=f"Set {VARIABLE} or {FILE_VARIABLE}, store it with siteferry credential add "
            f"{ad_hoc.credential}, or start the command at a terminal, which asks for it.",
        )
    question = one_line(f"Password of {ad_hoc.account_text}")
    return Secret(click.prompt(question, hide_input=True, err=True))
