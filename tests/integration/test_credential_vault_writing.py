"""Writing to Vault through the real hvac, against the wire double."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from siteferry.credentials import Entry
from siteferry.errors import (
    CredentialAbsent,
    CredentialMalformed,
    CredentialReadOnly,
    CredentialUnreachable,
)
from siteferry.secret import Secret
from tests.stores.refusals import MARKED, refusal_of
from tests.stores.unmasked import mask_nothing
from tests.stores.vault_double import VaultWireDoubleStand, opened, with_token


@pytest.fixture
def stand(open_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[VaultWireDoubleStand]:
    mask_nothing(monkeypatch)
    made = VaultWireDoubleStand(open_folder, monkeypatch)
    made.plant("shop", "FTP_PASSWORD", MARKED)
    yield made
    made.close()


def test_two_writers_of_different_keys_lose_nothing(stand: VaultWireDoubleStand) -> None:
    """The second writes between the first one's reading and writing."""
    first, second = opened(stand), opened(stand)
    stand.server.before_write.append(lambda: stand.plant("shop", "FTP_USERNAME", "u123"))
    first.store("shop", "OTHER", Secret("other"))
    assert [entry.key for entry in second.list("shop")] == [
        "FTP_PASSWORD",
        "FTP_USERNAME",
        "OTHER",
    ]
    stand.server.before_write.append(lambda: stand.plant("shop", "NEW", "n"))
    second.delete("shop", "OTHER")
    assert first.get("shop", "NEW") == Secret("n")
    assert first.get("shop", "FTP_PASSWORD") == Secret(MARKED)


def test_the_first_two_writers_of_a_site_lose_nothing(stand: VaultWireDoubleStand) -> None:
    stand.server.before_write.append(lambda: stand.plant("fresh", "FTP_USERNAME", "u123"))
    store = opened(stand)
    store.store("fresh", "FTP_PASSWORD", Secret("p"))
    assert store.get("fresh", "FTP_USERNAME") == Secret("u123")


def test_a_writer_who_is_always_overtaken_gives_up(stand: VaultWireDoubleStand) -> None:
    turns = iter(range(100))
    stand.server.before_write.extend([lambda: stand.plant("shop", "TURN", str(next(turns)))] * 100)
    error = refusal_of(
        CredentialUnreachable, lambda: opened(stand).store("shop", "OTHER", Secret("value"))
    )
    assert "changed by somebody else" in str(error)


def test_a_deleted_version_is_absent_and_can_be_written_over(stand: VaultWireDoubleStand) -> None:
    """`vault kv delete`: Vault answers 404 with the number that check-and-set must name."""
    stand.server.secrets["siteferry/shop"].all.append(None)
    store = opened(stand)
    refusal_of(CredentialAbsent, lambda: store.get("shop", "FTP_PASSWORD"))
    assert store.list() == ()
    store.store("shop", "FTP_USERNAME", Secret("u123"))
    assert store.list() == (Entry("shop", "FTP_USERNAME"),)


def test_the_last_key_s_removal_leaves_a_version_without_fields(
    stand: VaultWireDoubleStand,
) -> None:
    store = opened(stand)
    store.delete("shop", "FTP_PASSWORD")
    assert stand.server.secrets["siteferry/shop"].all[-1] == {}
    assert store.list() == ()


def test_a_token_that_may_only_read_is_told_so(stand: VaultWireDoubleStand) -> None:
    store = with_token(stand, stand.server.grant(600, read_only=True))
    for action in (
        lambda: store.store("shop", "FTP_PASSWORD", Secret("another")),
        lambda: store.delete("shop", "FTP_PASSWORD"),
    ):
        error = refusal_of(CredentialReadOnly, action)
        assert "secret/siteferry/shop" in str(error)
    assert store.get("shop", "FTP_PASSWORD") == Secret(MARKED)


def test_other_fields_and_folders_are_left_alone(stand: VaultWireDoubleStand) -> None:
    """Whatever else an operator keeps there, texts or not."""
    stand.server.plant("siteferry/shop", {"note": {"made": [1, 2]}, "not a name": "x"})
    stand.server.plant("siteferry/folder/inside", {"K": "x"})
    stand.server.plant("siteferry/not a site", {"K": "x"})
    store = opened(stand)
    store.store("shop", "FTP_USERNAME", Secret("u123"))
    kept = stand.server.secrets["siteferry/shop"].all[-1]
    assert kept is not None
    assert kept["note"] == {"made": [1, 2]}
    assert kept["not a name"] == "x"
    assert [str(entry) for entry in store.list()] == [
        "shop/FTP_PASSWORD",
        "shop/FTP_USERNAME",
        "shop/note",
    ]
    refusal_of(CredentialMalformed, lambda: store.get("shop", "note"))


@pytest.mark.parametrize(("prefix", "path"), [("", "shop"), ("a/b/", "a/b/shop"), ("/a", "a/shop")])
@pytest.mark.parametrize("kv_version", [1, 2])
def test_the_prefix_may_be_empty_or_deep(
    stand: VaultWireDoubleStand, prefix: str, path: str, kv_version: int
) -> None:
    stand.server.kv_version = kv_version
    stand.server.secrets.clear()
    stand.server.plant(path, {"K": "x"})
    store = opened(stand, prefix=prefix, kv_version=kv_version)
    assert store.get("shop", "K") == Secret("x")
    assert store.list() == (Entry("shop", "K"),)
