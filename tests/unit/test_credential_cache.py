"""What a process keeps of credentials, and stores that are asked one after the other."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from siteferry.credentials import Ability, CredentialBackend, Entry, MemoryBackend, Stores
from siteferry.credentials.chain import ChainBackend, open_store
from siteferry.errors import (
    ConfigurationError,
    CredentialAbsent,
    CredentialDenied,
    CredentialError,
    CredentialUnreachable,
)
from siteferry.secret import Secret
from siteferry.settings import Settings
from siteferry.settings.stores import CredentialSettings

NAME = ("shop", "FTP_PASSWORD")


@dataclass
class Counting(MemoryBackend):
    """Counts how often it is asked."""

    asked: int = 0
    trouble: CredentialError | None = None

    def __post_init__(self) -> None:
        super().__init__({NAME: Secret("first")})

    def _get(self, entry: Entry) -> Secret:
        self.asked += 1
        if self.trouble:
            raise self.trouble
        return super()._get(entry)


@dataclass
class Opened:
    """Stores over one counting store, on a clock of the test's."""

    backend: Counting = field(default_factory=Counting)
    opened: int = 0
    now: float = 100.0

    def stores(self, cache_seconds: float = 30.0) -> Stores:
        settings = Settings(credentials=CredentialSettings(cache_seconds=cache_seconds))

        def opener(_name: str, _settings: Settings) -> CredentialBackend:
            self.opened += 1
            return self.backend

        return Stores(settings, opener, clock=lambda: self.now)


def test_a_value_is_kept_for_its_time_and_then_fetched_again() -> None:
    opened = Opened()
    stores = opened.stores(cache_seconds=30)
    assert stores.get(None, *NAME) == Secret("first")
    opened.backend.store(*NAME, Secret("second"))
    opened.now += 29.9
    assert stores.get(None, *NAME) == Secret("first")
    opened.now += 0.2
    assert stores.get(None, *NAME) == Secret("second")
    assert (opened.backend.asked, opened.opened) == (2, 1)


def test_a_fresh_value_goes_past_what_is_kept_and_takes_its_place() -> None:
    opened = Opened()
    stores = opened.stores()
    stores.get(None, *NAME)
    opened.backend.store(*NAME, Secret("second"))
    assert stores.get(None, *NAME, fresh=True) == Secret("second")
    assert stores.get(None, *NAME) == Secret("second")
    assert opened.backend.asked == 2


def test_nothing_is_kept_where_the_time_is_zero() -> None:
    opened = Opened()
    stores = opened.stores(cache_seconds=0)
    stores.get(None, *NAME)
    stores.get(None, *NAME)
    assert opened.backend.asked == 2


def test_a_failure_is_not_kept() -> None:
    opened = Opened()
    stores = opened.stores()
    opened.backend.trouble = CredentialUnreachable("gone")
    with pytest.raises(CredentialUnreachable):
        stores.get(None, *NAME)
    opened.backend.trouble = None
    assert stores.get(None, *NAME) == Secret("first")


def test_entries_of_the_same_name_in_two_stores_are_two() -> None:
    stores = {"one": MemoryBackend({NAME: Secret("1")}), "two": MemoryBackend({NAME: Secret("2")})}
    cache = Stores(Settings(), lambda name, _: stores[name])
    assert cache.get("one", *NAME) == Secret("1")
    assert cache.get("two", *NAME) == Secret("2")


def test_what_is_kept_is_not_printed() -> None:
    opened = Opened()
    stores = opened.stores()
    stores.get(None, *NAME)
    assert "first" not in repr(stores)


# Chains


class Refusing(CredentialBackend):
    """Raises what it is told to."""

    name = "refusing"

    def __init__(self, error: CredentialError) -> None:
        self.error = error

    def probe(self) -> None:
        raise self.error

    def _get(self, entry: Entry) -> Secret:
        raise self.error


SECOND = MemoryBackend({NAME: Secret("of the second")})


def test_the_next_store_is_asked_only_when_one_has_no_such_entry() -> None:
    assert ChainBackend([MemoryBackend(), SECOND]).get(*NAME) == Secret("of the second")
    first = MemoryBackend({NAME: Secret("of the first")})
    assert ChainBackend([first, SECOND]).get(*NAME) == Secret("of the first")


@pytest.mark.parametrize("kind", [CredentialDenied, CredentialUnreachable])
def test_a_store_in_trouble_ends_the_search(kind: type[CredentialError]) -> None:
    chain = ChainBackend([Refusing(kind("trouble")), SECOND])
    with pytest.raises(kind, match="trouble"):
        chain.get(*NAME)
    with pytest.raises(kind):
        chain.probe()


def test_what_no_store_has_is_absent_and_all_are_named() -> None:
    with pytest.raises(CredentialAbsent, match="memory, memory has shop/OTHER"):
        ChainBackend([MemoryBackend(), SECOND]).get("shop", "OTHER")


def test_a_value_is_stored_in_the_first_store_that_can_and_deleted_from_all() -> None:
    first, last = MemoryBackend(), MemoryBackend({NAME: Secret("old")})
    chain = ChainBackend([Refusing(CredentialAbsent("none")), first, last])
    assert chain.abilities == {Ability.STORE, Ability.DELETE}
    chain.store(*NAME, Secret("new"))
    assert (first.get(*NAME), last.get(*NAME)) == (Secret("new"), Secret("old"))
    chain.delete(*NAME)
    for store in (first, last):
        with pytest.raises(CredentialAbsent):
            store.get(*NAME)
    with pytest.raises(CredentialAbsent):
        chain.delete(*NAME)


def test_a_chain_lists_what_any_of_its_stores_has() -> None:
    chain = ChainBackend([MemoryBackend({("a", "K"): Secret("1")}), SECOND])
    assert chain.list() == (Entry("a", "K"), Entry(*NAME))


@pytest.mark.parametrize("order", [(), ("chain",), ("environment", "environment")])
def test_a_chain_without_a_clear_order_is_a_wrong_setting(order: tuple[str, ...]) -> None:
    settings = Settings(credentials=CredentialSettings(backend="chain", chain=order))
    with pytest.raises(ConfigurationError, match="order of its stores"):
        open_store(settings)


def test_a_chain_is_opened_in_the_order_that_is_written_down() -> None:
    settings = Settings(
        credentials=CredentialSettings(backend="chain", chain=("memory", "environment"))
    )
    with pytest.raises(CredentialAbsent, match="memory, environment has"):
        open_store(settings).get("nobody", "KEY")
