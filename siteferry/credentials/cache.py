"""The stores that a process has opened, and for a short time what it has fetched from them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from siteferry.credentials.base import CredentialBackend, Entry
from siteferry.credentials.registry import open_backend
from siteferry.secret import Secret
from siteferry.settings import Settings


@dataclass(slots=True)
class Stores:
    """Opens each store once, and keeps each value for `credentials.cache_seconds`, in memory only.

    A worker logs in eight times for a run; the store is asked once. Only values are kept: what is
    absent or refused is asked for again each time.

    Args:
        opener: opens a store by its name.
    """

    settings: Settings
    opener: Callable[[str, Settings], CredentialBackend] = open_backend
    clock: Callable[[], float] = time.monotonic
    _opened: dict[str, CredentialBackend] = field(default_factory=dict)
    _values: dict[tuple[str, Entry], tuple[float, Secret]] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, backend: str | None, site: str, key: str, *, fresh: bool = False) -> Secret:
        """The value of an entry; `backend` None is the selected store.

        Args:
            fresh: ask the store, whatever is kept.

        Raises:
            CredentialError: from the store.
            ConfigurationError: there is no such store, or it cannot be opened.
        """
        name = backend or self.settings.credentials.backend
        where = (name, Entry(site, key))
        now = self.clock()
        with self._lock:
            kept = self._values.get(where)
        if kept is not None and not fresh and now < kept[0]:
            return kept[1]
        value = self.store(name).get(site, key)
        with self._lock:
            self._values[where] = (now + self.settings.credentials.cache_seconds, value)
        return value

    def store(self, name: str | None = None) -> CredentialBackend:
        """The store of that name, or the selected one.

        Raises:
            ConfigurationError: as for `get`.
        """
        name = name or self.settings.credentials.backend
        with self._lock:
            opened = self._opened.get(name)
            if opened is None:
                opened = self._opened[name] = self.opener(name, self.settings)
            return opened
