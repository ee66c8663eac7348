"""The stores that need nothing beside this process: memory and environment."""

from __future__ import annotations

from typing import ClassVar

from siteferry.credentials import CredentialBackend, EnvironmentBackend, MemoryBackend
from siteferry.credentials.environment import FILE_SUFFIX, variable_name
from siteferry.secret import Secret
from tests.stores.base import Stand


class MemoryStand(Stand):
    name: ClassVar[str] = "memory"

    def open(self) -> CredentialBackend:
        if not hasattr(self, "_store"):
            self._store = MemoryBackend()
        return self._store

    def plant(self, site: str, key: str, value: str) -> None:
        self.open().store(site, key, Secret(value))


class EnvironmentStand(Stand):
    name: ClassVar[str] = "environment"

    def open(self) -> CredentialBackend:
        return EnvironmentBackend()

    def plant(self, site: str, key: str, value: str) -> None:
        self.monkeypatch.setenv(variable_name(site, key), value)

    def garble(self, site: str, key: str) -> None:
        variable = variable_name(site, key)
        file = self.folder / "garbled"
        file.write_bytes(b"\xff\xfe")
        self.monkeypatch.delenv(variable, raising=False)
        self.monkeypatch.setenv(variable + FILE_SUFFIX, str(file))
