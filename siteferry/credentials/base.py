"""The contract of a credential store.

An entry is a secret text under a site and a key: `example/FTP_PASSWORD`. The public methods check
names and values for every store alike; a store fills in the ones with an underscore.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from siteferry.errors import (
    CredentialDenied,
    CredentialError,
    CredentialMalformed,
    CredentialReadOnly,
)
from siteferry.secret import Secret
from siteferry.settings.references import LONGEST_NAME, is_name

LONGEST_VALUE_CHARS = 4096


class Ability(StrEnum):
    """What a store can do besides giving an entry."""

    STORE = "store"
    DELETE = "delete"
    LIST = "list"


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """The name of a credential; `str()` gives `site/KEY`."""

    site: str
    key: str

    def __str__(self) -> str:
        return f"{self.site}/{self.key}"


class CredentialBackend(ABC):
    """One credential store. Every method may raise a CredentialError; none shows a value.

    Absent, denied, read-only, unreachable and malformed are different classes, and a caller must
    never take one for the other: only an absent entry may be looked for elsewhere.
    """

    name: ClassVar[str]
    """What the settings and `${credential:NAME:…}` call it."""

    abilities: frozenset[Ability] = frozenset()

    def get(self, site: str, key: str) -> Secret:
        """Give the value of an entry.

        Raises:
            CredentialAbsent: the store answered, and has no such entry.
            CredentialDenied: the store refuses to give it.
            CredentialUnreachable: the store does not answer.
            CredentialMalformed: the name or the value cannot be used.
            ConfigurationError: what the settings say of the store cannot be right.
        """
        entry = checked_entry(site, key)
        return checked_value(self._get(entry), f"the credential {entry} in {self.name}")

    def store(self, site: str, key: str, value: Secret) -> None:
        """Create or replace an entry; errors as for `get`, and CredentialReadOnly."""
        entry = checked_entry(site, key)
        checked_value(value, f"the value for {entry}")
        self._require(Ability.STORE)
        self._store(entry, value)

    def delete(self, site: str, key: str) -> None:
        """Remove an entry; errors as for `get`, and CredentialReadOnly."""
        entry = checked_entry(site, key)
        self._require(Ability.DELETE)
        self._delete(entry)

    def list(self, site: str | None = None) -> tuple[Entry, ...]:
        """The names of all entries, or of one site's, sorted. Values are not fetched.

        Raises:
            CredentialDenied: the store cannot list, or refuses to.
            CredentialUnreachable: the store does not answer.
        """
        self._require(Ability.LIST)
        return tuple(sorted(e for e in self._list() if site is None or e.site == site))

    @abstractmethod
    def probe(self) -> None:
        """Find out whether the store answers and lets us in.

        Raises:
            CredentialDenied, CredentialUnreachable: it does not.
            ConfigurationError: as for `get`.
        """

    @abstractmethod
    def _get(self, entry: Entry) -> Secret: ...

    # A store that can do one of these overrides it, and says so in its abilities.
    def _store(self, entry: Entry, value: Secret) -> None:
        raise self._cannot(Ability.STORE)

    def _delete(self, entry: Entry) -> None:
        raise self._cannot(Ability.DELETE)

    def _list(self) -> Collection[Entry]:
        raise self._cannot(Ability.LIST)

    def _require(self, ability: Ability) -> None:
        if ability not in self.abilities:
            raise self._cannot(ability)

    def _cannot(self, ability: Ability) -> CredentialError:
        kind = CredentialDenied if ability is Ability.LIST else CredentialReadOnly
        return kind(
            f"the credential store {self.name} cannot {ability} entries",
            next_step=self._instead(ability),
        )

    def _instead(self, ability: Ability) -> str:
        """Where the user can do what the store cannot; part of the error."""
        return f"Choose a store that can {ability}, with credentials.backend in the settings."


def checked_entry(site: str, key: str) -> Entry:
    """The entry of that name.

    Raises:
        CredentialMalformed: site or key cannot be a name.
    """
    for kind, text in (("site", site), ("key", key)):
        if not is_name(text):
            raise CredentialMalformed(
                f"{text!r} cannot be the {kind} of a credential",
                next_step="Use letters, digits, `.`, `_` and `-`, beginning with none of `.` and "
                f"`-`, at most {LONGEST_NAME} of them.",
            )
    return Entry(site, key)


def checked_value(value: Secret, what: str) -> Secret:
    """The value itself, if FTP can carry it (RFC 959, 5.3.2: a text without CR and LF).

    Raises:
        CredentialMalformed: it is empty, too long, or holds CR, LF or NUL; `what` names it.
    """
    fault = _fault(value.reveal(masked=False))
    if fault:
        raise CredentialMalformed(f"{what} {fault}", next_step="Store it anew.")
    return value


def _fault(text: str) -> str | None:
    if not text:
        return "is empty"
    if len(text) > LONGEST_VALUE_CHARS:
        return f"is longer than {LONGEST_VALUE_CHARS} characters"
    if any(char in text for char in "\r\n\0"):
        return "holds a line break or a NUL, which no login can carry"
    return None
