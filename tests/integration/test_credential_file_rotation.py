"""A new key for the encrypted store: while others read, and killed at any moment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from siteferry.credentials import CredentialBackend, open_backend
from siteferry.credentials.encrypted_file import rotate_key
from siteferry.credentials.file_keys import KeyFile
from siteferry.errors import (
    CredentialAbsent,
    CredentialReadOnly,
)
from siteferry.secret import Secret
from siteferry.settings import Settings
from tests.stores.files import KEY_VARIABLES, MARKED, FileStand, fill, is_filled, keys_of, new_key
from tests.stores.processes import forked, killed_at_step

KEY, KEY_FILE, PASSPHRASE, PASSPHRASE_FILE = KEY_VARIABLES


@pytest.fixture
def stand(open_folder: Path, monkeypatch: pytest.MonkeyPatch) -> FileStand:
    return FileStand(open_folder, monkeypatch)


@pytest.fixture
def store(stand: FileStand) -> CredentialBackend:
    return stand.open()


def test_a_new_key_comes_first_and_the_old_one_goes_in_a_second_step(
    stand: FileStand, store: CredentialBackend
) -> None:
    fill(store)
    (old,) = keys_of(stand)
    assert rotate_key(stand.settings) == 2
    new, kept = keys_of(stand)
    assert kept == old != new
    assert stand.read()["shop/FTP_PASSWORD"] == MARKED  # by the first key alone
    assert is_filled(store)
    assert rotate_key(stand.settings, drop_old=True) == 2
    assert keys_of(stand) == [new]
    assert is_filled(store)
    # And doing it again does no harm.
    assert rotate_key(stand.settings, drop_old=True) == 2
    assert keys_of(stand) == [new]
    assert is_filled(store)


def test_dropping_the_old_keys_first_encrypts_what_still_needs_them(
    stand: FileStand, store: CredentialBackend
) -> None:
    """Also where the new key was put there by hand, or by the rotation of another store."""
    fill(store)
    (old,) = keys_of(stand)
    stand.key_file.write_text(f"{new_key()}\n{old}\n")
    rotate_key(stand.settings, drop_old=True)
    assert old not in keys_of(stand)
    assert is_filled(store)


def test_a_reader_between_the_two_files_finds_the_new_key(
    stand: FileStand, store: CredentialBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has read the old store, and the old key is dropped before it reads the key."""
    fill(store)
    real = KeyFile.present_keyring
    rotated = False

    def late(source: KeyFile) -> Any:
        nonlocal rotated
        if not rotated:
            rotated = True
            rotate_key(stand.settings)
            rotate_key(stand.settings, drop_old=True)
        return real(source)

    monkeypatch.setattr(KeyFile, "present_keyring", late)
    assert store.get("shop", "FTP_PASSWORD") == Secret(MARKED)
    assert rotated


def test_readers_notice_nothing_of_new_keys(stand: FileStand, store: CredentialBackend) -> None:
    """A process reads throughout, while the key is changed ten times and the old ones dropped."""
    fill(store)
    reading, writing = os.pipe()
    stop_reading, stop_writing = os.pipe()

    def read_on() -> None:
        os.close(stop_writing)
        os.set_blocking(stop_reading, False)
        while True:
            assert is_filled(store)
            os.write(writing, b".")
            try:
                os.read(stop_reading, 1)  # ends with the parent's end of it
                return
            except BlockingIOError:
                continue

    child = forked(read_on)
    os.close(writing)
    os.close(stop_reading)
    try:
        for _ in range(10):
            assert os.read(reading, 4096)
            rotate_key(stand.settings)
            assert os.read(reading, 4096)
            rotate_key(stand.settings, drop_old=True)
    finally:
        os.close(stop_writing)
        while os.read(reading, 4096):
            pass
        os.close(reading)
        _, status = os.waitpid(child, 0)
    assert status == 0
    assert len(keys_of(stand)) == 1


@pytest.mark.parametrize("drop_old", [False, True])
def test_a_rotation_killed_at_any_step_leaves_a_store_that_can_be_read_and_rotated(
    stand: FileStand, store: CredentialBackend, drop_old: bool
) -> None:
    step, killed = 0, True
    fill(store)
    while killed:
        step += 1
        if drop_old:
            # By hand, so that the store still needs the old one.
            stand.key_file.write_text("\n".join((new_key(), *keys_of(stand))))
        killed = killed_at_step(step, lambda: rotate_key(stand.settings, drop_old=drop_old))
        assert is_filled(store)
        store.store("shop", "FTP_USERNAME", Secret("u123"))
        assert is_filled(store)
    assert step > 15
    assert rotate_key(stand.settings, drop_old=True) == 2
    assert len(keys_of(stand)) == 1
    assert is_filled(store)


def test_without_a_store_there_is_no_key_to_change(stand: FileStand) -> None:
    with pytest.raises(CredentialAbsent, match="siteferry credential add SITE KEY"):
        rotate_key(stand.settings)
    assert list(stand.folder.iterdir()) == []


def test_a_key_of_the_environment_is_changed_by_hand_as_the_message_tells(
    stand: FileStand, store: CredentialBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = new_key(), new_key()
    monkeypatch.setenv(KEY, old)
    fill(store)
    with pytest.raises(CredentialReadOnly, match="By hand: put a new key in front") as refused:
        rotate_key(stand.settings)
    assert KEY in refused.value.message
    monkeypatch.setenv(KEY, f"{new} {old}")
    assert is_filled(store)
    store.store("shop", "FTP_USERNAME", Secret("u123"))
    monkeypatch.setenv(KEY, new)
    assert is_filled(store)


def test_a_passphrase_is_changed_by_hand_as_the_message_tells(
    stand: FileStand, store: CredentialBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PASSPHRASE, "old")
    fill(store)
    with pytest.raises(CredentialReadOnly, match="By hand: note the names") as refused:
        rotate_key(stand.settings)
    assert str(stand.path) in refused.value.next_step
    stand.path.rename(stand.path.with_name("moved.json"))
    monkeypatch.setenv(PASSPHRASE, "new")
    fill(store)
    assert is_filled(store)


def test_stores_with_one_key_file_are_each_rotated_before_the_old_keys_go(
    stand: FileStand, store: CredentialBackend
) -> None:
    where = {"path": str(stand.path.with_name("two.json")), "key_file": str(stand.key_file)}
    two = Settings.model_validate({"credentials": {"file": where}})
    other = open_backend("file", two)
    fill(store)
    fill(other)
    rotate_key(stand.settings)
    assert is_filled(other)
    rotate_key(two)
    assert is_filled(store)
    rotate_key(stand.settings, drop_old=True)
    assert len(keys_of(stand)) == 1
    assert is_filled(store)
    assert is_filled(other)
