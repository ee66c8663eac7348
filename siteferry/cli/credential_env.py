"""`siteferry credential env`: what containers need to be given their credentials."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import click

from siteferry.cli.options import GlobalOptions
from siteferry.credentials import Entry, variable_name
from siteferry.credentials.references import password_reference, username_reference
from siteferry.settings import Settings
from siteferry.websites import CredentialReference, EnvironmentText, list_websites, load_website

_FORMS = ("docker", "compose", "compose-env", "kubernetes")


@click.command("env")
@click.argument("sites", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All websites.")
@click.option("--format", "form", type=click.Choice(_FORMS), default="docker", show_default=True)
@click.pass_obj
def env(options: GlobalOptions, sites: tuple[str, ...], every: bool, form: str) -> None:
    """Print what gives a container the credentials of websites: an env file for `docker run`, or
    for the `env_file` of a compose file (compose-env), the `environment` and `secrets` of a compose
    file, or a Secret for Kubernetes. Names and places to fill in; never a value.

    \b
    Examples:
      siteferry credential env example > example.env
      siteferry credential env --all --format kubernetes
    """
    if bool(sites) == every:
        raise click.UsageError("name one SITE or more, or --all")
    settings = options.load()
    click.echo("\n".join(lines_of(form, _entries(settings, sites or list_websites(settings)))))


def lines_of(form: str, entries: Iterable[Entry]) -> Iterator[str]:
    """What is printed for these entries; `form` is one of the command's formats."""
    return _PRINTERS[form]([(entry, variable_name(entry.site, entry.key)) for entry in entries])


def _entries(settings: Settings, sites: Sequence[str]) -> Iterator[Entry]:
    """The entries that the websites' logins are looked for under, each once."""
    seen: set[Entry] = set()
    for site in sites:
        website = load_website(site, settings)
        for written, reference in (
            (website.ftp.username, username_reference(website)),
            (website.ftp.password, password_reference(website)),
        ):
            entry = Entry(reference.site, reference.key)
            if _is_asked_for(written, reference) and entry not in seen:
                seen.add(entry)
                yield entry


def _is_asked_for(written: object, reference: CredentialReference) -> bool:
    """Not where variables of the file give it, a plain name stands, or another store is named."""
    if isinstance(written, EnvironmentText | str):
        return False
    return reference.backend in (None, "environment", "mounted")


Rows = Sequence[tuple[Entry, str]]


def _docker(rows: Rows) -> Iterator[str]:
    yield "# docker run --env-file THIS_FILE: write each value behind its sign, unquoted,"
    yield "# and keep this file as you keep the passwords (chmod 600)."
    yield "SITEFERRY_CREDENTIAL_BACKEND=environment"
    for entry, variable in rows:
        yield f"# {entry}"
        yield f"{variable}="


def _compose_env(rows: Rows) -> Iterator[str]:
    # Without quotes Compose takes $ for a variable and # for a comment (2.26). In single ones it
    # changes \' alone, so that nothing stands for a backslash before a quote.
    yield "# `env_file` of a compose file: write each value between its quotes, a ' in it as \\'."
    yield "# A value with a backslash at its end or before a ' cannot be given this way."
    yield "# Keep this file as you keep the passwords (chmod 600)."
    yield "SITEFERRY_CREDENTIAL_BACKEND='environment'"
    for entry, variable in rows:
        yield f"# {entry}"
        yield f"{variable}=''"


def _compose(rows: Rows) -> Iterator[str]:
    yield "# For a service; each secret is a file that holds the value and nothing else."
    yield "environment:"
    yield "  SITEFERRY_CREDENTIAL_BACKEND: mounted"
    yield f"secrets: [{', '.join(variable for _, variable in rows)}]"
    yield ""
    yield "# At the top level:"
    yield "# secrets:"
    for _, variable in rows:
        yield f"#   {variable}: {{file: ./secrets/{variable}}}"


def _kubernetes(rows: Rows) -> Iterator[str]:
    yield "# kubectl create -f THIS_FILE. Workers get it as mounted files, with"
    yield "# SITEFERRY_CREDENTIAL_BACKEND=mounted, or in `envFrom`, with =environment."
    yield "apiVersion: v1"
    yield "kind: Secret"
    yield "metadata:"
    yield "  name: siteferry-credentials"
    yield "type: Opaque"
    yield "stringData:"
    for entry, variable in rows:
        yield f'  {variable}: ""  # {entry}'


_PRINTERS: dict[str, Callable[[Rows], Iterator[str]]] = {
    "docker": _docker,
    "compose": _compose,
    "compose-env": _compose_env,
    "kubernetes": _kubernetes,
}
