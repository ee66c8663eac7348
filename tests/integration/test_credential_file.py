"""The encrypted store on the disk: who may see it, and what a writer leaves behind.

See also test_credential_file_damage, _keys, _rotation and _processes.
"""

from __future__ import annotations

import os
import shlex
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from siteferry.credentials import CredentialBackend, open_backend
from siteferry.credentials.private_file import PrivateFile
from siteferry.errors import (
    ConfigurationError,
    CredentialAbsent,
    CredentialDenied,
    CredentialError,
    CredentialMalformed,
    CredentialReadOnly,
    CredentialUnreachable,
)
from siteferry.secret import Secret
from siteferry.settings import Settings
from tests.ordinary_user import NOBODY
from tests.shown_errors import everything_shown
from tests.stores.files import MARKED, FileStand, every_use, private
from tests.stores.processes import killed_at_step

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


# Who may see it


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_the_first_entry_makes_both_files_for_their_owner_alone(
    stand: FileStand, umask: int
) -> None:
    before = os.umask(umask)
    try:
        stand.open().store("shop", "FTP_PASSWORD", Secret(MARKED))
    finally:
        os.umask(before)
    for path in (stand.path, stand.key_file):
        assert mode(path) == 0o600
        assert mode(path.parent) & 0o077 == 0
    assert stand.open().get("shop", "FTP_PASSWORD") == Secret(MARKED)
    assert MARKED.encode() not in stand.path.read_bytes()
    assert b"shop" not in stand.path.read_bytes()


def test_asking_makes_nothing(stand: FileStand) -> None:
    store = stand.open()
    with pytest.raises(CredentialAbsent, match="siteferry credential add shop KEY"):
        store.get("shop", "KEY")
    with pytest.raises(CredentialAbsent, match="siteferry credential add shop KEY"):
        store.delete("shop", "KEY")
    assert store.list() == ()
    store.probe()
    assert list(stand.folder.iterdir()) == []


@pytest.mark.parametrize("loose", [0o644, 0o640, 0o604, 0o620, 0o666])
@pytest.mark.parametrize("which", ["store", "key", "store's folder", "key's folder"])
def test_what_others_may_see_is_refused_until_it_is_closed(
    open_folder: Path, monkeypatch: pytest.MonkeyPatch, which: str, loose: int
) -> None:
    """For root as for everybody; the command in the message closes it."""
    folder = open_folder / "with a blank"
    folder.mkdir()
    stand = FileStand(folder, monkeypatch)
    store = stand.open()
    store.store("shop", "FTP_PASSWORD", Secret(MARKED))
    path = stand.path if "store" in which else stand.key_file
    right = 0o600
    if "folder" in which:
        path, right, loose = path.parent, 0o700, loose | 0o110
    path.chmod(loose)
    for use in every_use(store):
        with pytest.raises(CredentialDenied) as refused:
            use()
        assert f"chmod {right:o} {shlex.quote(str(path))}" in refused.value.next_step
        assert f"(mode {loose:04o})" in refused.value.message
        assert MARKED not in everything_shown(refused.value)
    command = refused.value.next_step.removeprefix("Close it: ").partition(" (or")[0]
    subprocess.run(["sh", "-c", command], check=True)
    assert mode(path) == right
    assert store.get("shop", "FTP_PASSWORD") == Secret(MARKED)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("which", ["store", "key", "store's folder", "key's folder"])
def test_what_belongs_to_another_user_is_refused(
    stand: FileStand, store: CredentialBackend, which: str
) -> None:
    path = stand.path if "store" in which else stand.key_file
    if "folder" in which:
        path = path.parent
    os.chown(path, NOBODY, NOBODY)
    for use in every_use(store):
        with pytest.raises(CredentialDenied, match=rf"chown 0 {path}"):
            use()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has files that we may not read")
def test_an_ordinary_user_is_refused_another_one_s_store(
    store: CredentialBackend, as_ordinary_user: AsOrdinaryUser
) -> None:
    """Denied, also where it wants to write."""
    for use in every_use(store):
        with pytest.raises(CredentialDenied, match=r"may not be read by this user \(uid 65534\)"):
            as_ordinary_user(use)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_an_ordinary_user_keeps_a_store_and_may_be_kept_from_writing(
    stand: FileStand, as_ordinary_user: AsOrdinaryUser
) -> None:
    os.chown(stand.folder, NOBODY, NOBODY)
    store = stand.open()
    as_ordinary_user(store.store, "shop", "FTP_PASSWORD", Secret(MARKED))

    def is_there() -> bool:
        return store.get("shop", "FTP_PASSWORD") == Secret(MARKED)

    assert as_ordinary_user(is_there)
    stand.path.parent.chmod(0o500)
    (stand.path.parent / "store.json.lock").unlink()
    assert as_ordinary_user(is_there)
    for change in (
        lambda: store.store("shop", "FTP_PASSWORD", Secret("x")),
        lambda: store.delete("shop", "FTP_PASSWORD"),
    ):
        with pytest.raises(CredentialReadOnly, match="cannot be written by this user"):
            as_ordinary_user(change)
    assert as_ordinary_user(is_there)


def test_a_link_to_the_store_stays_a_link(stand: FileStand, store: CredentialBackend) -> None:
    real = stand.path.rename(stand.path.parent / "real.json")
    stand.path.symlink_to(real)
    store.store("shop", "FTP_PASSWORD", Secret("new"))
    assert stand.path.is_symlink()
    assert store.get("shop", "FTP_PASSWORD") == Secret("new")
    assert not real.is_symlink()


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_no_file_is_malformed_and_nobody_waits_for_it(
    stand: FileStand, store: CredentialBackend, make: Callable[[Path], None]
) -> None:
    stand.path.unlink()
    make(stand.path)
    for use in every_use(store):
        with pytest.raises(CredentialMalformed, match="is not a file"):
            use()


def test_store_and_key_are_two_files(tmp_path: Path) -> None:
    """Else the first entry would overwrite its own key."""
    where = {"path": str(tmp_path / "one"), "key_file": str(tmp_path / "." / "one")}
    settings = Settings.model_validate({"credentials": {"file": where}})
    with pytest.raises(ConfigurationError, match="would be the same file"):
        open_backend("file", settings)


# Writing


def test_a_writer_killed_at_any_step_leaves_the_old_or_the_new_value(
    stand: FileStand, store: CredentialBackend
) -> None:
    """And nothing in the way of the next writer, who sweeps up."""
    part = stand.path.with_name("store.json.part")
    step, leftovers, values = 0, 0, set()
    while True:
        step += 1
        store.store("shop", "FTP_PASSWORD", Secret("old"))
        assert not part.exists()
        change = lambda: store.store("shop", "FTP_PASSWORD", Secret("new"))  # noqa: E731
        if not killed_at_step(step, change):
            break
        values.add(store.get("shop", "FTP_PASSWORD").reveal(masked=False))
        if part.exists():
            leftovers += 1
            assert mode(part) == 0o600
            assert b"new" not in part.read_bytes()
    assert values == {"old", "new"}
    assert leftovers >= 2
    assert step > 10


def test_the_first_writer_killed_at_any_step_leaves_an_empty_store_or_a_whole_one(
    open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, step, killed = set(), 0, True
    while killed:
        step += 1
        folder = open_folder / str(step)
        folder.mkdir()
        store = FileStand(folder, monkeypatch).open()
        killed = killed_at_step(step, lambda: store.store("shop", "A", Secret("1")))  # noqa: B023
        found.add(len(store.list()))
        store.store("shop", "B", Secret("2"))
        assert store.get("shop", "B") == Secret("2")
    assert found == {0, 1}


def test_half_a_file_of_a_dead_writer_is_never_read_and_is_swept(
    stand: FileStand, store: CredentialBackend
) -> None:
    part = stand.path.with_name("store.json.part")
    private(part, stand.path.read_bytes()[:100])
    assert store.get("shop", "FTP_PASSWORD") == Secret(MARKED)
    store.store("shop", "OTHER", Secret("x"))
    assert not part.exists()
    assert {path.name for path in stand.path.parent.iterdir()} == {"store.json", "store.json.lock"}


def test_a_disk_that_fails_is_unreachable_and_the_old_values_stay(
    stand: FileStand, store: CredentialBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_fd: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(CredentialUnreachable, match="No space left on device"):
            store.store("shop", "FTP_PASSWORD", Secret("new"))
    assert store.get("shop", "FTP_PASSWORD") == Secret(MARKED)
    assert not stand.path.with_name("store.json.part").exists()


def test_who_waits_too_long_for_other_writers_is_told_and_readers_do_not_wait(
    stand: FileStand, store: CredentialBackend
) -> None:
    file = PrivateFile.at(stand.path, "credential store")
    with file.changing():
        assert store.get("shop", "FTP_PASSWORD") == Secret(MARKED)
        with (
            pytest.raises(CredentialUnreachable, match="for 0 s") as late,
            file.changing(within_seconds=0),
        ):
            pytest.fail("the lock was had twice")
    assert issubclass(type(late.value), CredentialError)
    assert late.value.transient
    with file.changing(within_seconds=0):
        pass
