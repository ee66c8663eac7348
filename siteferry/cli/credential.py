"""`siteferry credential`: what is in the credential store, never shown."""

from __future__ import annotations

import json
import sys

import click

from siteferry.cli.credential_env import env
from siteferry.cli.credential_migrate import migrate_command
from siteferry.cli.credential_test import test
from siteferry.cli.options import GlobalOptions
from siteferry.credentials import Stores
from siteferry.errors import ConfigurationError
from siteferry.report.as_text import one_line
from siteferry.secret import Secret
from siteferry.settings import Settings
from siteferry.websites import PASSWORD_KEY

_LONGEST_INPUT_CHARS = 8192


@click.group("credential")
def credential() -> None:
    """Add, list, test and migrate credentials. No command prints a value.

    \b
    The store is the one that --credential-backend, SITEFERRY_CREDENTIAL_BACKEND or
    credentials.backend in the settings names.
    """


@credential.command("add")
@click.argument("site")
@click.argument("key", default=PASSWORD_KEY)
@click.pass_obj
def add(options: GlobalOptions, site: str, key: str) -> None:
    """Store a value; KEY is FTP_PASSWORD unless given. Asked for without echo, or read from
    standard input; never taken from the command line.

    \b
    Examples:
      siteferry credential add example
      siteferry credential add example FTP_USERNAME
      pass show ftp/example | siteferry credential add example
    """
    settings = options.load()
    store = Stores(settings).store()
    key_file = settings.credentials.file.key_file
    had_key = key_file.exists()
    store.store(site, key, _asked(f"{site}/{key}"))
    click.echo(one_line(f"{site}/{key} is in the store {store.name}"))
    if store.name == "file" and not had_key and key_file.exists():
        click.echo(
            one_line(f"a key was made, {key_file}: keep a copy of it, apart from the store's"),
            err=True,
        )


@credential.command("remove")
@click.argument("site")
@click.argument("key", default=PASSWORD_KEY)
@click.pass_obj
def remove(options: GlobalOptions, site: str, key: str) -> None:
    """Remove an entry; KEY is FTP_PASSWORD unless given."""
    store = Stores(options.load()).store()
    store.delete(site, key)
    click.echo(one_line(f"{site}/{key} is no longer in the store {store.name}"))


@credential.command("list")
@click.argument("site", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print a list as JSON.")
@click.pass_obj
def list_command(options: GlobalOptions, site: str | None, as_json: bool) -> None:
    """List the names of all entries, or of one site's."""
    entries = Stores(options.load()).store().list(site)
    if as_json:
        rows = [{"site": entry.site, "key": entry.key} for entry in entries]
        click.echo(json.dumps(rows, indent=2))
        return
    for entry in entries:
        click.echo(str(entry))


@credential.command("rotate-key")
@click.option(
    "--drop-old", is_flag=True, help="Forget the old keys, once every worker has read the new one."
)
@click.option("--yes", is_flag=True, help="With --drop-old: do not ask.")
@click.pass_obj
def rotate_key_command(options: GlobalOptions, drop_old: bool, yes: bool) -> None:
    """Give the encrypted file a new key, and encrypt every entry anew. Workers that read the same
    key file need no restart; where it was copied to other machines, copy it again before the old
    key is dropped. Another store that shares the key file is rotated first, or it is lost with its
    key.

    \b
    Examples:
      siteferry credential rotate-key
      siteferry credential rotate-key --drop-old
    """
    from siteferry.credentials.encrypted_file import rotate_key

    settings = options.load()
    if settings.credentials.backend != "file":
        raise ConfigurationError(
            f"the store {settings.credentials.backend} keeps its own keys",
            next_step="Only the store `file` has a key of siteferry's.",
        )
    if drop_old and not yes:
        _ask_to_drop(settings)
    count = rotate_key(settings, drop_old=drop_old)
    entries = "1 entry is" if count == 1 else f"{count} entries are"
    click.echo(f"{entries} encrypted with the newest key")
    if not drop_old:
        click.echo(
            "the old key is still in the key file; drop it with: "
            "siteferry credential rotate-key --drop-old"
        )


for command in (test, migrate_command, env):
    credential.add_command(command)


def _ask_to_drop(settings: Settings) -> None:
    question = (
        f"Forget the old keys in {settings.credentials.file.key_file}? "
        "Other stores that use it must have been rotated"
    )
    if not sys.stdin.isatty():
        raise ConfigurationError(
            "the old keys are not dropped without a word",
            next_step="Add --yes once every store that uses this key file has been rotated.",
        )
    click.confirm(one_line(question), abort=True, err=True)


def _asked(what: str) -> Secret:
    """The value, from a terminal (twice, without echo) or from standard input (one line)."""
    if sys.stdin.isatty():
        return Secret(
            click.prompt(f"Value of {what}", hide_input=True, confirmation_prompt=True, err=True)
        )
    text = sys.stdin.read(_LONGEST_INPUT_CHARS)
    return Secret(text.removesuffix("\n").removesuffix("\r"))
