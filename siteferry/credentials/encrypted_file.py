"""Credentials in one encrypted file. Its format: file_format; where its key is from: file_keys.

The file is read and decrypted, and its permissions are looked at, for each request: what another
process has changed is seen at once, and neither time stamps nor inode numbers, which the system
uses again, have to be believed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NoReturn

from siteferry.credentials.base import Ability, CredentialBackend, Entry
from siteferry.credentials.encrypted_store import EncryptedStore, Opened
from siteferry.credentials.file_format import seal
from siteferry.credentials.key_rotation import rotate_key
from siteferry.errors import CredentialAbsent
from siteferry.secret import Secret
from siteferry.settings import Settings

__all__ = ["EncryptedFileBackend", "open_store", "rotate_key"]


def open_store(settings: Settings) -> EncryptedFileBackend:
    """For the registry. Raises ConfigurationError as `EncryptedStore.of` does."""
    return EncryptedFileBackend(EncryptedStore.of(settings))


class EncryptedFileBackend(CredentialBackend):
    """The first `store` makes the file, and a key file where no key is given.

    All methods raise as `EncryptedStore.open` does; `store` and `delete` raise CredentialReadOnly
    where we may read and not write.
    """

    name = "file"
    abilities: frozenset[Ability] = frozenset(Ability)

    def __init__(self, store: EncryptedStore) -> None:
        self._at = store

    def probe(self) -> None:
        """Reads and decrypts the file if there is one; without one the store is empty."""
        self._at.open()

    def _get(self, entry: Entry) -> Secret:
        entries = self._entries()
        if entry not in entries:
            self._refuse_absent(entry)
        return entries[entry]

    def _store(self, entry: Entry, value: Secret) -> None:
        self._at.open()  # what may not even be read is denied, not read-only
        file = self._at.file
        with file.changing():
            opened = self._at.open() or Opened({}, self._at.source.first_keyring())
            file.replace(seal({**opened.entries, entry: value}, opened.keyring))

    def _delete(self, entry: Entry) -> None:
        if entry not in self._entries():  # so that no folder is made for nothing
            self._refuse_absent(entry)
        file = self._at.file
        with file.changing():
            opened = self._at.open()
            if opened is None or entry not in opened.entries:
                self._refuse_absent(entry)
            rest = {name: value for name, value in opened.entries.items() if name != entry}
            file.replace(seal(rest, opened.keyring))

    def _list(self) -> Collection[Entry]:
        return tuple(self._entries())

    def _entries(self) -> Mapping[Entry, Secret]:
        opened = self._at.open()
        return opened.entries if opened else {}

    def _refuse_absent(self, entry: Entry) -> NoReturn:
        raise CredentialAbsent(
            f"the credential store {self._at.path} has no {entry}",
            next_step=f"Add it: siteferry credential add {entry.site} {entry.key}",
        )
