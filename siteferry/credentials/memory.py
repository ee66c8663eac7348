"""Credentials in the memory of this process: for tests, and for embedding in a program."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import ClassVar

from siteferry.credentials.base import Ability, CredentialBackend, Entry, checked_entry
from siteferry.errors import CredentialAbsent
from siteferry.secret import Secret
from siteferry.settings import Settings


def open_store(_settings: Settings) -> MemoryBackend:
    """For the registry; there is nothing to set up."""
    return MemoryBackend()


class MemoryBackend(CredentialBackend):
    name: ClassVar[str] = "memory"
    abilities: frozenset[Ability] = frozenset(Ability)

    def __init__(self, entries: Mapping[tuple[str, str], Secret] | None = None) -> None:
        """`entries` maps (site, key) to values.

        Raises:
            CredentialMalformed: a site or key cannot be a name.
        """
        self._entries = {checked_entry(*name): value for name, value in (entries or {}).items()}

    def probe(self) -> None:
        """Memory is always there."""

    def _get(self, entry: Entry) -> Secret:
        self._require_entry(entry)
        return self._entries[entry]

    def _store(self, entry: Entry, value: Secret) -> None:
        self._entries[entry] = value

    def _delete(self, entry: Entry) -> None:
        self._require_entry(entry)
        del self._entries[entry]

    def _list(self) -> Collection[Entry]:
        return tuple(self._entries)

    def _require_entry(self, entry: Entry) -> None:
        if entry not in self._entries:
            raise CredentialAbsent(
                f"the memory store has no credential {entry}", next_step="Store it first."
            )
