"""An encrypted store and its key together: read as they stand now, whoever is changing them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from siteferry.credentials.base import Entry
from siteferry.credentials.file_format import parse, unseal
from siteferry.credentials.file_keys import KeySource, choose_source
from siteferry.credentials.keyring import Keyring
from siteferry.credentials.private_file import PrivateFile
from siteferry.errors import ConfigurationError, CredentialDenied
from siteferry.secret import Secret
from siteferry.settings import Settings


@dataclass(frozen=True, slots=True)
class Opened:
    """A store's entries, and the keys that it was read with."""

    entries: dict[Entry, Secret]
    keyring: Keyring


@dataclass(frozen=True, slots=True)
class EncryptedStore:
    """Two paths and the environment; nothing is kept of what the files hold."""

    path: Path
    key_file: Path
    environ: Mapping[str, str]

    @classmethod
    def of(cls, settings: Settings) -> EncryptedStore:
        """The store of `credentials.file`; neither file needs to be there yet.

        Raises:
            ConfigurationError: both would be the same file.
        """
        where = settings.credentials.file
        if os.path.realpath(where.path) == os.path.realpath(where.key_file):
            raise ConfigurationError(
                f"the credential store and its key would be the same file, {where.path}",
                next_step="Give credentials.file.path and credentials.file.key_file two paths.",
            )
        return cls(where.path, where.key_file, os.environ)

    @property
    def file(self) -> PrivateFile:
        return PrivateFile.at(self.path, "credential store")

    @property
    def source(self) -> KeySource:
        """Where the key is from. Raises CredentialMalformed where that is ambiguous."""
        return choose_source(self.key_file, self.environ)

    def open(self) -> Opened | None:
        """The entries decrypted; None where there is no store yet.

        Raises:
            CredentialDenied: file or key may not be read, or are open to others; there is no key,
                or a wrong one.
            CredentialMalformed: file or key are not as they must be.
            CredentialUnreachable: reading fails.
        """
        source, file = self.source, self.file
        seen = None
        while True:
            content = file.read()
            if content is None:
                return None
            sealed = parse(content, file.path)
            keyring = source.keyring(sealed.how())
            entries = unseal(sealed, keyring, file.path)
            if entries is not None:
                return Opened(entries, keyring)
            if content == seen:
                raise CredentialDenied(
                    f"the credential store {file.path} is encrypted with another key than "
                    f"{keyring.origin} gives",
                    next_step="Give the key that it was stored with; a key file that was replaced "
                    "comes back from a backup.",
                )
            # Between the two files the key may have been changed, and the old one dropped.
            seen = content
