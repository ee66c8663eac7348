"""What every credential store does alike: the contract, over each of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from siteferry.credentials import Ability, CredentialBackend, Entry
from siteferry.errors import (
    CredentialAbsent,
    CredentialDenied,
    CredentialError,
    CredentialMalformed,
    CredentialReadOnly,
    CredentialUnreachable,
)
from siteferry.secret import Secret
from tests.shown_errors import everything_shown
from tests.stores.aws_double import AwsMotoDoubleStand
from tests.stores.azure_double import AzureWireDoubleStand
from tests.stores.base import Stand
from tests.stores.files import FileStand, MountedStand
from tests.stores.gcp_double import GcpWireDoubleStand
from tests.stores.simple import EnvironmentStand, MemoryStand
from tests.stores.vault_double import VaultOneWireDoubleStand, VaultWireDoubleStand

STANDS: list[type[Stand]] = [
    MemoryStand,
    EnvironmentStand,
    FileStand,
    MountedStand,
    VaultWireDoubleStand,
    VaultOneWireDoubleStand,
    AwsMotoDoubleStand,
    GcpWireDoubleStand,
    AzureWireDoubleStand,
]
MARKED = "hunter2-S3cret-Marked"


@pytest.fixture(params=STANDS, ids=lambda stand: stand.label())
def stand(
    request: pytest.FixtureRequest, open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Stand]:
    made: Stand = request.param(open_folder, monkeypatch)
    yield made
    made.close()


def require(store: CredentialBackend, ability: Ability) -> None:
    if ability not in store.abilities:
        pytest.skip(f"{store.name} cannot {ability}, which a test of its own shows")


def test_it_is_opened_by_its_name(stand: Stand) -> None:
    assert stand.open().name == stand.name


def test_it_gives_what_the_operator_has_put_there(stand: Stand) -> None:
    stand.plant("shop", "FTP_PASSWORD", MARKED)
    stand.plant("shop", "FTP_USERNAME", "u123")
    stand.plant("other-site.example", "FTP_PASSWORD", "another")
    store = stand.open()
    assert store.get("shop", "FTP_PASSWORD") == Secret(MARKED)
    assert store.get("shop", "FTP_USERNAME") == Secret("u123")
    assert store.get("other-site.example", "FTP_PASSWORD") == Secret("another")


@pytest.mark.parametrize("value", ["a", " with spaces ", "üñí-日本-🚢", "q\"uo'te$`\\", "x" * 4096])
def test_values_come_back_as_they_were(stand: Stand, value: str) -> None:
    stand.plant("shop", "FTP_PASSWORD", value)
    assert stand.open().get("shop", "FTP_PASSWORD") == Secret(value)


@pytest.mark.parametrize(
    ("site", "key"),
    [("a-b", "C"), ("a_b", "C"), ("a.b", "C_D"), ("A", "c"), ("a", "C-D"), ("0", "_")],
)
def test_names_of_every_kind_are_entries_of_their_own(stand: Stand, site: str, key: str) -> None:
    stand.plant(site, key, "this one")
    stand.plant("a", "C", "another")
    store = stand.open()
    assert store.get(site, key) == Secret("this one")
    assert store.get("a", "C") == Secret("another")


def test_an_absent_entry_is_absent_and_the_next_step_is_told(stand: Stand) -> None:
    stand.plant("shop", "FTP_USERNAME", "u123")
    store = stand.open()
    for site in ("shop", "nobody"):
        with pytest.raises(CredentialAbsent, match=f"{site}/FTP_PASSWORD") as absent:
            store.get(site, "FTP_PASSWORD")
        assert absent.value.next_step


def test_what_the_operator_changes_is_seen(stand: Stand) -> None:
    """By the same object: a worker is not restarted for it."""
    stand.plant("shop", "FTP_PASSWORD", "old")
    store = stand.open()
    assert store.get("shop", "FTP_PASSWORD") == Secret("old")
    stand.plant("shop", "FTP_PASSWORD", "new")
    assert store.get("shop", "FTP_PASSWORD") == Secret("new")


def test_a_probe_of_a_store_that_is_there_says_nothing(stand: Stand) -> None:
    stand.plant("shop", "FTP_PASSWORD", MARKED)
    stand.open().probe()


def test_what_is_stored_is_there_for_every_process_and_is_replaced(stand: Stand) -> None:
    store = stand.open()
    require(store, Ability.STORE)
    store.store("shop", "FTP_PASSWORD", Secret("first"))
    store.store("shop", "FTP_USERNAME", Secret("u123"))
    store.store("shop", "FTP_PASSWORD", Secret(MARKED))
    again = stand.open()
    assert again.get("shop", "FTP_PASSWORD") == Secret(MARKED)
    assert again.get("shop", "FTP_USERNAME") == Secret("u123")


def test_what_is_deleted_is_absent_and_the_rest_stays(stand: Stand) -> None:
    store = stand.open()
    require(store, Ability.DELETE)
    store.store("shop", "FTP_PASSWORD", Secret(MARKED))
    store.store("shop", "FTP_USERNAME", Secret("u123"))
    store.delete("shop", "FTP_PASSWORD")
    for shown in (store, stand.open()):
        with pytest.raises(CredentialAbsent):
            shown.get("shop", "FTP_PASSWORD")
    with pytest.raises(CredentialAbsent, match="shop/FTP_PASSWORD"):
        store.delete("shop", "FTP_PASSWORD")
    assert store.get("shop", "FTP_USERNAME") == Secret("u123")
    # And it may come again.
    store.store("shop", "FTP_PASSWORD", Secret("new"))
    assert store.get("shop", "FTP_PASSWORD") == Secret("new")


def test_a_list_has_names_and_no_values(stand: Stand) -> None:
    store = stand.open()
    require(store, Ability.LIST)
    assert store.list() == ()
    for site, key in (("shop", "FTP_PASSWORD"), ("a.b-c", "KEY"), ("shop", "FTP_USERNAME")):
        stand.plant(site, key, MARKED)
    every = (Entry("a.b-c", "KEY"), Entry("shop", "FTP_PASSWORD"), Entry("shop", "FTP_USERNAME"))
    assert store.list() == every
    assert store.list("shop") == every[1:]
    assert store.list("sho") == ()
    assert MARKED not in repr(store.list())


@pytest.mark.parametrize("ability", [Ability.STORE, Ability.DELETE])
def test_a_store_that_cannot_be_written_says_so_and_keeps_the_value_to_itself(
    stand: Stand, ability: Ability
) -> None:
    store = stand.open()
    if ability in store.abilities:
        pytest.skip(f"{store.name} can {ability}")
    stand.plant("shop", "FTP_PASSWORD", "kept")
    attempts = {
        Ability.STORE: lambda: store.store("shop", "FTP_PASSWORD", Secret(MARKED)),
        Ability.DELETE: lambda: store.delete("shop", "FTP_PASSWORD"),
    }
    with pytest.raises(CredentialReadOnly) as refused:
        attempts[ability]()
    assert refused.value.next_step
    assert MARKED not in everything_shown(refused.value)
    assert store.get("shop", "FTP_PASSWORD") == Secret("kept")


@pytest.mark.parametrize("value", ["", "two\nlines", "a\rb", "nul\0", "x" * 4097])
def test_a_value_that_no_login_can_carry_is_not_stored(stand: Stand, value: str) -> None:
    store = stand.open()
    require(store, Ability.STORE)
    with pytest.raises(CredentialMalformed):
        store.store("shop", "FTP_PASSWORD", Secret(value))
    with pytest.raises(CredentialAbsent):
        store.get("shop", "FTP_PASSWORD")


@pytest.mark.parametrize("name", ["", "../up", "a/b", "a b", "-a", ".a", "a\nb", "x" * 129])
def test_a_name_that_is_none_is_malformed(stand: Stand, name: str) -> None:
    store = stand.open()
    with pytest.raises(CredentialMalformed):
        store.get(name, "KEY")
    with pytest.raises(CredentialMalformed):
        store.get("shop", name)


def trouble(stand: Stand, kind: type[CredentialError]) -> None:
    """An entry was there; now the store is in trouble, and says which, with a next step and
    without a value, whatever is asked of it."""
    store = stand.open()
    for shown in (store, stand.open()):
        with pytest.raises(kind) as refused:
            shown.get("shop", "FTP_PASSWORD")
        assert type(refused.value) is kind
        assert refused.value.next_step
        assert MARKED not in everything_shown(refused.value)
        with pytest.raises(kind):
            shown.get("shop", "NEVER_THERE")
        with pytest.raises(kind):
            shown.probe()


def test_a_store_that_refuses_us_is_denied_and_never_absent(stand: Stand) -> None:
    stand.plant("shop", "FTP_PASSWORD", MARKED)
    stand.deny()
    trouble(stand, CredentialDenied)


def test_a_store_that_does_not_answer_is_unreachable_and_never_absent(stand: Stand) -> None:
    stand.plant("shop", "FTP_PASSWORD", MARKED)
    stand.disappear()
    trouble(stand, CredentialUnreachable)


def test_what_cannot_be_read_is_malformed_and_never_absent(stand: Stand) -> None:
    stand.plant("shop", "FTP_PASSWORD", MARKED)
    stand.garble("shop", "FTP_PASSWORD")
    with pytest.raises(CredentialMalformed) as garbled:
        stand.open().get("shop", "FTP_PASSWORD")
    assert MARKED not in everything_shown(garbled.value)
