"""Credentials in a directory of secret files, as Docker and Kubernetes mount them.

The entry `example/FTP_PASSWORD` is in one of two files, and both at once are an error:

- `SITEFERRY_CRED_EXAMPLE_FTP_PASSWORD`, named as the store `environment` names its variable. These
  names never collide, and both Docker (letters, digits, `_`, `.`, `-`) and Kubernetes allow them;
  where Docker's 64 characters for a secret's name do not suffice, its target in the service does.
- `example/FTP_PASSWORD`: one secret with its keys, mounted in a directory named after the site.

`site.KEY` or `site_KEY` would do for neither: names may hold `.`, `_` and `-` themselves. What
begins with a `.` is no entry: Kubernetes keeps the contents in `..data`, a link that it swaps, and
links to it from the names. Each request reads the file anew.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator
from pathlib import Path

from siteferry.credentials.base import Ability, CredentialBackend, Entry
from siteferry.credentials.environment import entry_of, variable_name
from siteferry.credentials.secret_file import read_secret_file
from siteferry.errors import (
    CredentialAbsent,
    CredentialDenied,
    CredentialError,
    CredentialMalformed,
    CredentialUnreachable,
)
from siteferry.secret import Secret
from siteferry.settings import Settings
from siteferry.settings.references import is_name


def open_store(settings: Settings) -> MountedBackend:
    """For the registry; whether the directory is there is seen at each request."""
    return MountedBackend(settings.credentials.mounted.directory)


class MountedBackend(CredentialBackend):
    """`directory` holds the files. Their modes are the platform's concern, not looked at here."""

    name = "mounted"
    abilities: frozenset[Ability] = frozenset({Ability.LIST})

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def probe(self) -> None:
        """Looks into the directory."""
        self._names(self._directory)

    def _get(self, entry: Entry) -> Secret:
        places = (self._directory / variable_name(entry.site, entry.key), self._nested(entry))
        found = [value for value in map(_read, places) if value is not None]
        if len(found) == 2:
            raise CredentialMalformed(
                f"the credential {entry} is in two files, {places[0]} and {places[1]}",
                next_step="Mount one of them only.",
            )
        if found:
            return found[0]
        self.probe()
        raise CredentialAbsent(
            f"no file in {self._directory} holds the credential {entry}",
            next_step=f"Mount it as {places[0]} or as {places[1]}.",
        )

    def _list(self) -> Collection[Entry]:
        return set(self._entries())

    def _entries(self) -> Iterator[Entry]:
        for name in self._names(self._directory):
            path = self._directory / name
            entry = entry_of(name)
            if entry and variable_name(entry.site, entry.key) == name and _kind(path) == "file":
                yield entry
            elif is_name(name) and _kind(path) == "directory":
                keys = filter(is_name, self._names(path))
                yield from (Entry(name, key) for key in keys if _kind(path / key) == "file")

    def _nested(self, entry: Entry) -> Path:
        return self._directory / entry.site / entry.key

    def _names(self, directory: Path) -> list[str]:
        try:
            return [path.name for path in directory.iterdir()]
        except OSError as error:
            raise self._failure(error, directory) from error

    def _failure(self, error: OSError, directory: Path) -> CredentialError:
        if isinstance(error, PermissionError):
            return CredentialDenied(
                f"the directory {directory} may not be read by this user (uid {os.geteuid()})",
                next_step="Give this process's user the right to read it.",
            )
        return CredentialUnreachable(
            f"the directory of mounted secrets {directory} cannot be read: {error.strerror}",
            next_step="Mount the secrets there, or name their directory in the settings "
            "(credentials.mounted.directory).",
        )

    def _instead(self, ability: Ability) -> str:
        return (
            "Mounted secrets are changed on the platform: `docker secret create` and `docker "
            "service update` (which starts the workers anew), or `kubectl edit secret` (running "
            "workers see it within a minute or two, except through a subPath)."
        )


def _read(path: Path) -> Secret | None:
    """None where nothing is called so. A name that is there and leads nowhere is no absence."""
    what = f"the mounted secret {path}"
    for _ in range(3):  # Kubernetes may swap the contents while we look
        value = read_secret_file(path, what)
        if value is not None or not os.path.islink(path):  # noqa: PTH114  # raises for a long name
            return value
    raise CredentialUnreachable(
        f"{what} is a link that leads to no file", next_step="See how its volume is mounted."
    )


def _kind(path: Path) -> str:
    try:
        mode = path.stat().st_mode
    except OSError:
        return "nothing"
    return "file" if stat.S_ISREG(mode) else "directory" if stat.S_ISDIR(mode) else "other"
