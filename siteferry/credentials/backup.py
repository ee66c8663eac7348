"""Encrypted copies of website files that are about to lose their passwords.

Each copy has a key of its own, and that key is an entry of the credential store: who cannot read
the store cannot read the copy either, whatever store it is.
"""

from __future__ import annotations

import datetime as dt
import json
import os
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from siteferry.credentials.base import CredentialBackend
from siteferry.errors import ConfigurationError, CredentialMalformed
from siteferry.secret import Secret

_FOLDER_MODE, _FILE_MODE = 0o700, 0o600


def write_backup(
    folder: Path, store: CredentialBackend, site: str, file: Path, text: str, now: dt.datetime
) -> Path:
    """Encrypt the content of a website's file into `folder`; gives the copy's path.

    Raises:
        CredentialError: the store does not take the key.
        ConfigurationError: the copy cannot be written.
    """
    stamp = f"{now.astimezone(dt.UTC):%Y%m%dT%H%M%S%f}"
    entry = f"BACKUP_KEY_{stamp}"
    key = Fernet.generate_key()
    store.store(site, entry, Secret(key.decode()))
    content = json.dumps({"file": str(file), "text": text}).encode()
    copy = {"siteferry_backup": 1, "site": site, "key": entry, "content": ""}
    copy["content"] = Fernet(key).encrypt(content).decode()
    path = folder / f"{site}-{stamp}.json"
    try:
        folder.parent.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        folder.mkdir(mode=_FOLDER_MODE, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE_MODE)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            json.dump(copy, stream, indent=2)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        raise ConfigurationError(
            f"the backup {path} cannot be written: {error.strerror}",
            next_step="Make the folder writable; nothing has been changed.",
        ) from error
    return path


def read_backup(path: Path, store: CredentialBackend) -> tuple[Path, str]:
    """The file that a copy is of, and its content then.

    Raises:
        CredentialError: the store does not give the key, or it does not fit.
        ConfigurationError: this is no such copy.
    """
    try:
        copy = json.loads(path.read_text(encoding="utf-8"))
        site, key, content = str(copy["site"]), str(copy["key"]), str(copy["content"]).encode()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"{path} is no backup of a website's file",
            next_step="Name a file that `siteferry credential migrate` has written.",
        ) from error
    try:
        plain = Fernet(store.get(site, key).reveal().encode()).decrypt(content)
    except (InvalidToken, ValueError):
        raise CredentialMalformed(
            f"the key {site}/{key} does not open {path}",
            next_step="The copy or the entry has been changed; look for another copy.",
        ) from None
    known = json.loads(plain)
    return Path(known["file"]), str(known["text"])
