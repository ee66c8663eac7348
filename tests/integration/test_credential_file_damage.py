"""The encrypted store damaged, changed or exchanged: never a wrong value, never an absent one."""

from __future__ import annotations

import base64
import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from siteferry.credentials import CredentialBackend
from siteferry.errors import (
    CredentialDenied,
    CredentialMalformed,
)
from siteferry.secret import Secret
from tests.shown_errors import everything_shown
from tests.stores.files import MARKED, FileStand, every_use, with_checksum

AsOrdinaryUser = Callable[..., Any]


@pytest.fixture
def stand(open_folder: Path, monkeypatch: pytest.MonkeyPatch) -> FileStand:
    return FileStand(open_folder, monkeypatch)


@pytest.fixture
def store(stand: FileStand) -> CredentialBackend:
    """With one entry, shop/FTP_PASSWORD."""
    made = stand.open()
    made.store("shop", "FTP_PASSWORD", Secret(MARKED))
    return made


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def right_or_refused(stand: FileStand, content: bytes) -> str:
    """What comes of `content` as the store's file: never another value, nor none."""
    stand.path.write_bytes(content)
    refused = None
    try:
        value = stand.open().get("shop", "FTP_PASSWORD")
    except (CredentialMalformed, CredentialDenied) as error:
        refused = error
    if refused is None:
        assert value == Secret(MARKED)
        return "right"
    assert refused.next_step
    assert MARKED not in everything_shown(refused)
    return type(refused).__name__


def test_no_changed_byte_gives_another_value(stand: FileStand) -> None:
    """The checksum notices all of them but those that mean the same."""
    stand.plant("shop", "FTP_PASSWORD", MARKED)
    whole = stand.path.read_bytes()
    results = {"right": 0, "CredentialMalformed": 0, "CredentialDenied": 0}
    for position in range(len(whole)):
        for bit in (0x01, 0x20, 0x80):
            changed = bytearray(whole)
            changed[position] ^= bit
            results[right_or_refused(stand, bytes(changed))] += 1
    assert results["CredentialDenied"] == 0
    assert results["right"] < 10  # a blank of the JSON that has become another
    assert results["CredentialMalformed"] > 2 * len(whole)


def test_no_changed_byte_with_a_right_checksum_gives_another_value(stand: FileStand) -> None:
    """The checksum is no secret; the token is what an attacker cannot make."""
    stand.plant("shop", "FTP_PASSWORD", MARKED)
    outer = json.loads(stand.path.read_bytes())
    token = outer["entries"].encode()
    for position in range(len(token)):
        changed = bytearray(token)
        changed[position] ^= 0x01
        # The last characters before the padding have bits that mean nothing.
        content = with_checksum(outer | {"entries": changed.decode()})
        result = right_or_refused(stand, content)
        assert result == "CredentialMalformed" or position > len(token) - 4
    for key_id in ("0" * 16, outer["key_id"][::-1]):
        content = with_checksum(outer | {"key_id": key_id})
        assert right_or_refused(stand, content) == "CredentialDenied"


def test_a_file_cut_short_anywhere_is_malformed(stand: FileStand) -> None:
    stand.plant("shop", "FTP_PASSWORD", MARKED)
    whole = stand.path.read_bytes()
    for length in range(len(whole)):
        assert right_or_refused(stand, whole[:length]) == "CredentialMalformed"


def test_values_cannot_be_exchanged_or_put_back_one_by_one(stand: FileStand) -> None:
    """Blocks of another token under the same key: the authentication spans all entries."""
    stand.plant("shop", "FTP_PASSWORD", "older-value")
    stand.plant("other", "FTP_PASSWORD", "other-value")
    older = json.loads(stand.path.read_bytes())["entries"]
    stand.plant("shop", "FTP_PASSWORD", MARKED)
    outer = json.loads(stand.path.read_bytes())
    one, two = (base64.urlsafe_b64decode(token) for token in (outer["entries"], older))
    for start in range(9, min(len(one), len(two)) - 32, 16):
        spliced = one[:start] + two[start : start + 16] + one[start + 16 :]
        token = base64.urlsafe_b64encode(spliced).decode()
        content = with_checksum(outer | {"entries": token})
        assert right_or_refused(stand, content) == "CredentialMalformed"
    # Nothing outside the token names an entry.
    assert set(outer) == {"siteferry_credentials", "key_id", "stretching", "entries", "sha256"}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"null",
        b"[1]",
        b"\xff\xfe",
        b"[" * 100_000,
        b"9" * 5000,
        b'{"siteferry_credentials": 1}',
        b'{"siteferry_credentials": "1"}',
        b"-----BEGIN PRIVATE KEY-----\n",
    ],
    ids=range(10),
)
def test_a_foreign_file_is_malformed_and_left_alone(
    stand: FileStand, store: CredentialBackend, content: bytes
) -> None:
    stand.path.write_bytes(content)
    for use in every_use(store):
        with pytest.raises(CredentialMalformed, match=r"is no credential store\. Put a backup of"):
            use()
    assert stand.path.read_bytes() == content


def test_a_file_of_a_newer_format_is_told_from_a_damaged_one(
    stand: FileStand, store: CredentialBackend
) -> None:
    content = with_checksum({"siteferry_credentials": 2, "anything": []})
    stand.path.write_bytes(content)
    for use in every_use(store):
        with pytest.raises(CredentialMalformed, match="has format 2, written by a newer siteferry"):
            use()
    assert stand.path.read_bytes() == content


@pytest.mark.parametrize(
    "change", [{"n": 2**30}, {"n": 2}, {"r": 2**20}, {"p": 99}, {"salt": ""}, {"salt": "AAAA"}]
)
def test_a_file_cannot_ask_for_all_memory_or_for_a_weak_key(
    stand: FileStand, store: CredentialBackend, monkeypatch: pytest.MonkeyPatch, change: Any
) -> None:
    monkeypatch.setenv("SITEFERRY_CREDENTIAL_PASSPHRASE", "a passphrase")
    numbers = {"salt": "A" * 22 + "==", "n": 2**15, "r": 8, "p": 1} | change
    outer = json.loads(stand.path.read_bytes()) | {"stretching": numbers}
    stand.path.write_bytes(with_checksum(outer))
    with pytest.raises(CredentialMalformed):
        store.get("shop", "FTP_PASSWORD")


def test_a_value_that_no_login_can_carry_is_malformed_wherever_it_is_from(
    stand: FileStand,
) -> None:
    stand.plant("shop", "FTP_PASSWORD", f"{MARKED}\r\nDELE index.html")
    with pytest.raises(CredentialMalformed) as refused:
        stand.open().get("shop", "FTP_PASSWORD")
    assert MARKED not in everything_shown(refused.value)
