"""Several stores asked in the order that the settings write down."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import ClassVar

from siteferry.credentials.base import Ability, CredentialBackend, Entry
from siteferry.errors import ConfigurationError, CredentialAbsent
from siteferry.secret import Secret
from siteferry.settings import Settings


def open_store(settings: Settings) -> ChainBackend:
    """The stores of `credentials.chain`.

    Raises:
        ConfigurationError: the order is not written down, names `chain` itself, or a store cannot
            be opened.
    """
    from siteferry.credentials.registry import open_backend

    names = settings.credentials.chain
    if not names or "chain" in names or len(set(names)) != len(names):
        raise ConfigurationError(
            "the credential store chain needs the order of its stores",
            next_step="Write it into the settings, each store once, for instance: "
            "credentials: {backend: chain, chain: [mounted, file]}.",
        )
    return ChainBackend([open_backend(name, settings) for name in names])


class ChainBackend(CredentialBackend):
    """Asks the next store only when one says that it has no such entry: a store that refuses us or
    does not answer may well have one, and a later store's would be another password.

    What is stored goes to the first store that can store; what is deleted, from every store that
    has it and can delete.
    """

    name: ClassVar[str] = "chain"

    def __init__(self, stores: Sequence[CredentialBackend]) -> None:
        self._stores = tuple(stores)
        abilities = [store.abilities for store in stores]
        every = frozenset.union(*abilities)
        self.abilities = frozenset(
            ability
            for ability in every
            if ability is not Ability.LIST or all(Ability.LIST in one for one in abilities)
        )

    def probe(self) -> None:
        """All of them."""
        for store in self._stores:
            store.probe()

    def _get(self, entry: Entry) -> Secret:
        for store in self._stores:
            try:
                return store.get(entry.site, entry.key)
            except CredentialAbsent:
                continue
        raise self._absent(entry)

    def _store(self, entry: Entry, value: Secret) -> None:
        able = [store for store in self._stores if Ability.STORE in store.abilities]
        able[0].store(entry.site, entry.key, value)

    def _delete(self, entry: Entry) -> None:
        found = False
        for store in self._stores:
            if Ability.DELETE not in store.abilities:
                continue
            try:
                store.delete(entry.site, entry.key)
                found = True
            except CredentialAbsent:
                continue
        if not found:
            raise self._absent(entry)

    def _list(self) -> Collection[Entry]:
        return {entry for store in self._stores for entry in store.list()}

    def _absent(self, entry: Entry) -> CredentialAbsent:
        names = ", ".join(store.name for store in self._stores)
        return CredentialAbsent(
            f"none of the credential stores {names} has {entry}",
            next_step=f"Store it: siteferry credential add {entry.site} {entry.key}.",
        )
