"""Credentials in environment variables, or in files that variables name.

The variable of an entry is `SITEFERRY_CRED_<SITE>_<KEY>`: `example/FTP_PASSWORD` is
`SITEFERRY_CRED_EXAMPLE_FTP_PASSWORD`. With `_FILE` behind it, the variable holds the path of a
file with the value (one line end at its end is dropped), as container platforms mount them.

Two entries never share a variable, and no entry's name is another one's `_FILE`:

- In the site, `a` to `z` become `A` to `Z`, and digits stay. Any other character becomes `__` and
  its code in two upper-case hexadecimal digits: `my-site` is `MY__2DSITE`, `Shop` is `__53HOP`.
- In the key, `A` to `Z` and digits stay, and any other character becomes `__XX` as above. A `_`
  between two that stay, stays; elsewhere, and in a `_FILE` at the key's end, it is `__5F`.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import ClassVar

from siteferry.credentials.base import Ability, CredentialBackend, Entry, checked_entry
from siteferry.errors import (
    CredentialAbsent,
    CredentialDenied,
    CredentialError,
    CredentialMalformed,
    CredentialUnreachable,
)
from siteferry.secret import Secret
from siteferry.settings import Settings

PREFIX = "SITEFERRY_CRED_"
FILE_SUFFIX = "_FILE"

_NO_FILE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG})
_CODED = "(?:[A-Z0-9]|__[0-9A-F]{2})+"
_NAME = re.compile(rf"{PREFIX}(?P<site>{_CODED})_(?P<key>{_CODED}(?:_{_CODED})*)")
_PIECE = re.compile(r"__([0-9A-F]{2})|(.)")
_STAYS = re.compile(r"[A-Z0-9]")


def variable_name(site: str, key: str) -> str:
    """The variable that holds an entry.

    Raises:
        CredentialMalformed: site or key cannot be a name.
    """
    checked_entry(site, key)
    coded_site = "".join(
        char.upper() if re.fullmatch("[a-z0-9]", char) else _code(char) for char in site
    )
    return f"{PREFIX}{coded_site}_{_coded_key(key)}"


def entry_of(variable: str) -> Entry | None:
    """The entry whose variable this is, itself or its `_FILE`; None for any other variable."""
    for name in (variable, variable.removesuffix(FILE_SUFFIX)):
        found = _NAME.fullmatch(name)
        if found is None:
            continue
        entry = Entry(_decoded(found["site"], lower=True), _decoded(found["key"], lower=False))
        # The way back decides: a name that the rules would write otherwise belongs to no entry.
        try:
            if variable_name(entry.site, entry.key) == name:
                return entry
        except CredentialMalformed:
            continue
    return None


def _coded_key(key: str) -> str:
    coded = []
    for index, char in enumerate(key):
        around = key[index - 1 : index] + key[index + 1 : index + 2]
        joins = char == "_" and len(around) == 2 and all(map(_STAYS.match, around))
        if joins and key[index:] == FILE_SUFFIX:
            joins = False
        coded.append(char if joins or _STAYS.match(char) else _code(char))
    return "".join(coded)


def _code(char: str) -> str:
    return f"__{ord(char):02X}"


def _decoded(text: str, *, lower: bool) -> str:
    return "".join(
        chr(int(code, 16)) if code else (char.lower() if lower else char)
        for code, char in _PIECE.findall(text)
    )


def open_store(_settings: Settings) -> EnvironmentBackend:
    """For the registry; there is nothing to set up."""
    return EnvironmentBackend()


class EnvironmentBackend(CredentialBackend):
    """Reads the environment at each request, so that a `_FILE` may change while a worker runs."""

    name: ClassVar[str] = "environment"
    abilities: frozenset[Ability] = frozenset({Ability.LIST})

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._environ = os.environ if environ is None else environ

    def probe(self) -> None:
        """The environment is always there."""

    def _get(self, entry: Entry) -> Secret:
        variable = variable_name(entry.site, entry.key)
        value = self._environ.get(variable)
        file = self._environ.get(variable + FILE_SUFFIX)
        if value is not None and file is not None:
            raise CredentialMalformed(
                f"both {variable} and {variable}{FILE_SUFFIX} are set",
                next_step="Unset one of them.",
            )
        if file is not None:
            return _read(Path(file), variable + FILE_SUFFIX)
        if value is None:
            raise CredentialAbsent(
                f"the environment has no credential {entry}",
                next_step=f"Set {variable}, or {variable}{FILE_SUFFIX} to the path of a file "
                "that holds it.",
            )
        return Secret(value)

    def _list(self) -> Collection[Entry]:
        found = (entry_of(name) for name in self._environ if name.startswith(PREFIX))
        return {entry for entry in found if entry is not None}

    def _instead(self, ability: Ability) -> str:
        return (
            f"Variables are set and unset where the process is started: {PREFIX}<SITE>_<KEY>, or "
            f"the same with {FILE_SUFFIX} for a file's path."
        )


def _read(file: Path, variable: str) -> Secret:
    failure: CredentialError
    try:
        return Secret(file.read_bytes().decode().removesuffix("\n").removesuffix("\r"))
    except PermissionError:
        failure = CredentialDenied(
            f"the file that {variable} names may not be read",
            next_step="Give this process's user the right to read it.",
        )
    except UnicodeDecodeError:
        failure = CredentialMalformed(f"the file that {variable} names is not UTF-8 text")
    except OSError as error:
        if error.errno in _NO_FILE:
            failure = _no_file(variable)
        else:
            failure = CredentialUnreachable(
                f"the file that {variable} names cannot be read: {error.strerror}"
            )
    except ValueError:  # a NUL in the path
        failure = _no_file(variable)
    # Raised here, so that no chained error carries what it failed on: the file's content, or a
    # password that was set in place of a path.
    raise failure


def _no_file(variable: str) -> CredentialMalformed:
    return CredentialMalformed(
        f"{variable} names no file", next_step="Set it to the path of a file with the value."
    )
