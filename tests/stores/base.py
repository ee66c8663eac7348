"""The contract of a store under test: how it is set up, filled, and brought into trouble."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

import pytest

from siteferry.credentials import CredentialBackend


class Stand(ABC):
    """One store, empty at the beginning, with whatever server or files it needs.

    folder: an empty folder of this test's, which is open to other users.
    """

    name: ClassVar[str]
    """As the registry calls the store."""

    double: ClassVar[str] = ""
    """What stands for a server that cannot be had here; part of the tests' names."""

    @classmethod
    def label(cls) -> str:
        """The store's name, and what stands for its server."""
        return "-".join(filter(None, (cls.name, cls.double)))

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.monkeypatch = monkeypatch

    @abstractmethod
    def open(self) -> CredentialBackend:
        """A new object for the store, as a process of its own would have it."""

    @abstractmethod
    def plant(self, site: str, key: str, value: str) -> None:
        """Put an entry there as the operator would, by other means than the store's own."""

    def deny(self) -> None:
        """From now on the store refuses us. Skips where a store cannot."""
        pytest.skip(f"{self.name} has nobody who could refuse")

    def disappear(self) -> None:
        """From now on the store does not answer. Skips where it is always there."""
        pytest.skip(f"{self.name} is always there")

    def garble(self, site: str, key: str) -> None:
        """Make an entry one that cannot be read. Skips where that cannot be."""
        pytest.skip(f"{self.name} holds texts only")

    def close(self) -> None:  # noqa: B027  # most have nothing to end
        """End what was started."""
