"""The stores that are files: one that is encrypted, and a directory of mounted secrets."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
from cryptography.fernet import Fernet

from siteferry.credentials import CredentialBackend, open_backend, variable_name
from siteferry.secret import Secret
from siteferry.settings import Settings
from tests.ordinary_user import NOBODY
from tests.stores.base import Stand

KEY_VARIABLES = [
    f"SITEFERRY_CREDENTIAL_{kind}{suffix}"
    for kind in ("KEY", "PASSPHRASE")
    for suffix in ("", "_FILE")
]


MARKED = "hunter2-S3cret-Marked"


class FileStand(Stand):
    """The operator's own means is a program of a few lines: what `file_format` says, once more."""

    name: ClassVar[str] = "file"

    def __init__(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, file_name: str = "store"
    ) -> None:
        super().__init__(folder, monkeypatch)
        for variable in KEY_VARIABLES:
            monkeypatch.delenv(variable, raising=False)
        self.path = folder / "credentials" / f"{file_name}.json"
        self.key_file = folder / "config" / "credentials.key"
        where = {"path": str(self.path), "key_file": str(self.key_file)}
        self.settings = Settings.model_validate({"credentials": {"file": where}})

    def open(self) -> CredentialBackend:
        return open_backend("file", self.settings)

    def plant(self, site: str, key: str, value: str) -> None:
        if not self.path.exists():
            self.path.parent.mkdir(0o700, exist_ok=True)
            self.key_file.parent.mkdir(0o700, exist_ok=True)
            private(self.key_file, Fernet.generate_key() + b"\n")
            self.write({})
        self.write({**self.read(), f"{site}/{key}": value})

    def read(self) -> dict[str, str]:
        token = json.loads(self.path.read_bytes())["entries"]
        entries: dict[str, str] = json.loads(self._fernet().decrypt(token))["entries"]
        return entries

    def write(self, entries: dict[str, str]) -> None:
        inside = {"siteferry_credentials": 1, "entries": entries}
        outer: dict[str, Any] = {
            "siteferry_credentials": 1,
            "key_id": hashlib.sha256(b"siteferry credential key\0" + self._key()).hexdigest()[:16],
            "stretching": None,
            "entries": self._fernet().encrypt(json.dumps(inside).encode()).decode(),
        }
        private(self.path, with_checksum(outer))

    def deny(self) -> None:
        self.path.chmod(0o644)

    def disappear(self) -> None:
        self.path.unlink()
        self.path.symlink_to(self.path)  # the system gives up on it (ELOOP), for root as well

    def garble(self, site: str, key: str) -> None:
        self.path.write_bytes(self.path.read_bytes()[:-20])

    def _key(self) -> bytes:
        return self.key_file.read_bytes().split()[0]

    def _fernet(self) -> Fernet:
        return Fernet(self._key())


class MountedStand(Stand):
    name: ClassVar[str] = "mounted"

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(folder, monkeypatch)
        self.directory = folder / "secrets"
        self.directory.mkdir()
        self._user = os.geteuid()

    def open(self) -> CredentialBackend:
        where = {"directory": str(self.directory)}
        return open_backend("mounted", Settings.model_validate({"credentials": {"mounted": where}}))

    def plant(self, site: str, key: str, value: str) -> None:
        (self.directory / variable_name(site, key)).write_bytes(f"{value}\n".encode())

    def deny(self) -> None:
        self.directory.chmod(0o000)
        if self._user == 0:
            os.seteuid(NOBODY)  # root passes all permissions, also those of its own

    def disappear(self) -> None:
        self.directory.rename(self.folder / "unmounted")

    def garble(self, site: str, key: str) -> None:
        (self.directory / variable_name(site, key)).write_bytes(b"\xff\xfe")

    def close(self) -> None:
        os.seteuid(self._user)
        if self.directory.exists():
            self.directory.chmod(0o755)


def private(path: Path, content: bytes) -> None:
    """Write a file of mode 0600."""
    path.touch(0o600)
    path.write_bytes(content)


def with_checksum(outer: dict[str, Any]) -> bytes:
    """The store's file, from its other members."""
    outer = {name: value for name, value in outer.items() if name != "sha256"}
    checksum = hashlib.sha256(json.dumps(outer, sort_keys=True).encode()).hexdigest()
    return json.dumps(outer | {"sha256": checksum}).encode()


def fill(store: CredentialBackend) -> None:
    store.store("shop", "FTP_PASSWORD", Secret(MARKED))
    store.store("shop", "FTP_USERNAME", Secret("u123"))


def is_filled(store: CredentialBackend) -> bool:
    """Raises a CredentialError where it cannot be read."""
    return (
        store.get("shop", "FTP_PASSWORD") == Secret(MARKED)
        and store.get("shop", "FTP_USERNAME") == Secret("u123")
        and len(store.list()) == 2
    )


def keys_of(stand: FileStand) -> list[str]:
    assert stand.key_file.stat().st_mode & 0o777 == 0o600
    return stand.key_file.read_text().split()


def new_key() -> str:
    return Fernet.generate_key().decode()


def every_use(store: CredentialBackend) -> list[Callable[[], object]]:
    return [
        lambda: store.get("shop", "FTP_PASSWORD"),
        lambda: store.store("shop", "OTHER", Secret("x")),
        lambda: store.delete("shop", "FTP_PASSWORD"),
        store.list,
        store.probe,
    ]
