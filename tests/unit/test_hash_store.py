"""The file of the content hashes: a broken one costs time only, and it does not grow for ever."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from siteferry.tree import hash_database
from siteferry.tree.content_hashes import Key
from siteferry.tree.found import FoundFile
from siteferry.tree.hash_cache import HashCache
from siteferry.tree.hash_store import KEPT_DAYS, REST_SECONDS, HashStore
from siteferry.tree.reading import hash_file

FIRST, SECOND = "hashes-1.sqlite3", "hashes-2.sqlite3"
SECOND_NS = 1_000_000_000
DAY_NS = 86_400 * SECOND_NS
ROWS: list[tuple[Key, bytes]] = [
    ((7, inode, 10, 20, 30), bytes([inode % 256]) * 32) for inode in range(3000)
]
KEYS = [key for key, _ in ROWS]


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now_ns = 20_000 * DAY_NS

    def __call__(self) -> int:
        return self.now_ns


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def begun(folder: Path, clock: Clock) -> Path:
    """The file, with all of `ROWS`."""
    with closing(HashStore(folder, clock)) as store:
        store.put(ROWS)
    return folder / FIRST


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The one word that tells which warning it was."""
    words = ("a new one is begun", "cannot be used")
    return [word for record in caplog.records for word in words if word in record.getMessage()]


@pytest.mark.parametrize(
    "key",
    [
        (2**64 - 1, 2**64 - 1, 0, 0, 0),
        (2**63, 2**63 - 1, 2**40, -1, -(10**18)),
        (1, 1, 1, 15 * 10**18, 15 * 10**18),
    ],
)
def test_numbers_that_file_systems_give_are_kept_beyond_what_sqlite_holds(
    folder: Path, clock: Clock, key: Key
) -> None:
    with closing(HashStore(folder, clock)) as store:
        store.put([(key, b"k" * 32)])
        assert store.find([(1, 2, 3, 4, 5), key]) == {key: b"k" * 32}


def test_every_number_of_the_key_counts(folder: Path, clock: Clock) -> None:
    with closing(HashStore(folder, clock)) as store:
        store.put([((1, 2, 3, 4, 5), b"k" * 32)])
        others = [(9, 2, 3, 4, 5), (1, 9, 3, 4, 5), (1, 2, 9, 4, 5), (1, 2, 3, 9, 5)]
        assert store.find([*others, (1, 2, 3, 4, 9)]) == {}


def test_a_file_has_one_row_that_of_its_last_state(folder: Path, clock: Clock) -> None:
    with closing(HashStore(folder, clock)) as store:
        store.put([((1, 2, 3, 4, 5), b"k" * 32), ((1, 2, 3, 4, 6), b"l" * 32)])
        assert store.find([(1, 2, 3, 4, 5), (1, 2, 3, 4, 6)]) == {(1, 2, 3, 4, 6): b"l" * 32}


def garbage(file: Path) -> None:
    file.write_bytes(os.urandom(file.stat().st_size))


def cut_in_the_header(file: Path) -> None:
    os.truncate(file, 50)


def cut_to_one_page(file: Path) -> None:
    os.truncate(file, 4096)


def garbage_behind_the_first_page(file: Path) -> None:
    with file.open("r+b") as content:
        content.seek(4096)
        content.write(os.urandom(file.stat().st_size - 4096))


def another_version(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA user_version = 99")


def another_programs(file: Path) -> None:
    file.unlink()
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE digest (song TEXT)")


@pytest.mark.parametrize(
    "damage",
    [
        garbage,
        cut_in_the_header,
        cut_to_one_page,
        garbage_behind_the_first_page,
        another_version,
        another_programs,
    ],
)
def test_a_damaged_file_is_said_once_and_a_new_one_begun(
    folder: Path,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
    damage: Callable[[Path], None],
) -> None:
    file = begun(folder, clock)
    assert not caplog.records
    damage(file)
    with closing(HashStore(folder, clock)) as store:
        assert store.find(KEYS) == {}
        store.put(ROWS)
        assert store.find(KEYS) == dict(ROWS)
    with closing(HashStore(folder, clock)) as store:
        assert store.find(KEYS) == dict(ROWS)
    assert warnings(caplog) == ["a new one is begun"]
    assert {path.name for path in folder.glob("*.sqlite3")} == {FIRST, SECOND}


def test_damage_that_comes_while_the_file_is_open_costs_what_it_held(
    folder: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    file = begun(folder, clock)
    with closing(HashStore(folder, clock)) as store:
        garbage_behind_the_first_page(file)
        assert store.find(KEYS) == {}
        store.put(ROWS)
        assert store.find(KEYS) == dict(ROWS)
    assert warnings(caplog) == ["a new one is begun"]


def test_damage_that_two_have_found_makes_one_new_file(
    folder: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    file = begun(folder, clock)
    with closing(HashStore(folder, clock)) as store, closing(HashStore(folder, clock)) as other:
        garbage_behind_the_first_page(file)
        assert store.find(KEYS) == {}
        store.put(ROWS)
        assert other.find(KEYS) == {}
        assert other.find(KEYS) == dict(ROWS)
    assert warnings(caplog) == ["a new one is begun"]


def test_what_is_damaged_again_and_again_is_left(
    folder: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    garbage(begun(folder, clock))
    with closing(HashStore(folder, clock)) as store:
        for _ in range(5):
            store.put(ROWS)
            with closing(sqlite3.connect(folder / SECOND)) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            garbage_behind_the_first_page(folder / SECOND)
            assert store.find(KEYS) == {}
    assert warnings(caplog) == ["a new one is begun", "cannot be used"]


def test_of_damaged_files_only_the_last_is_left_to_be_looked_at(folder: Path, clock: Clock) -> None:
    (folder.parent / "cache").mkdir(0o700)
    (folder / "hashes-mine.sqlite3.txt").write_text("somebody's notes")
    for number in (1, 2, 3):
        begun(folder, clock)
        garbage(folder / f"hashes-{number}.sqlite3")
    begun(folder, clock)
    left = {path.name for path in folder.iterdir()}
    assert left == {
        "hashes-3.sqlite3",
        "hashes-4.sqlite3",
        "hashes.lock",
        "hashes-mine.sqlite3.txt",
    }


def test_a_hash_that_became_another_value_is_not_known(folder: Path, clock: Clock) -> None:
    file = begun(folder, clock)
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE digest SET sha256 = CAST(x'ff' AS TEXT) WHERE inode = 1")
        connection.execute("UPDATE digest SET sha256 = 5, used_day = 'x' WHERE inode = 2")
        connection.execute("UPDATE digest SET used_day = 'x' WHERE inode = 3")
    with closing(HashStore(folder, clock)) as store:
        assert sorted(set(KEYS) - store.find(KEYS).keys()) == [KEYS[1], KEYS[2]]


def a_file_in_the_folders_place(folder: Path) -> None:
    folder.write_text("not a folder")


def a_folder_in_the_files_place(folder: Path) -> None:
    folder.mkdir()
    (folder / FIRST).mkdir()


def a_folder_that_others_may_write(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o770)


@pytest.mark.parametrize(
    "obstacle",
    [a_file_in_the_folders_place, a_folder_in_the_files_place, a_folder_that_others_may_write],
)
def test_a_cache_that_cannot_be_used_is_said_once_and_files_are_read(
    tmp_path: Path,
    folder: Path,
    caplog: pytest.LogCaptureFixture,
    obstacle: Callable[[Path], None],
) -> None:
    obstacle(folder)
    (tmp_path / "f").write_bytes(b"content")
    item = FoundFile("f", str(tmp_path / "f"), 7, 0)
    with HashCache.open(folder, lambda: time.time_ns() + 10 * SECOND_NS) as cache:
        for _ in range(3):
            assert cache.digest(item) == hash_file(item)
    assert warnings(caplog) == ["cannot be used"]
    assert str(folder) in caplog.text


def test_without_the_right_to_write_files_are_read(
    open_folder: Path, as_ordinary_user: Callable[[Callable[[], bool]], bool]
) -> None:
    """Neither a new cache can be made there nor an old one be used."""
    old = open_folder / "old"
    begun(old, Clock())
    old.chmod(0o755)
    (old / FIRST).chmod(0o644)
    (open_folder / "f").write_bytes(b"content")
    item = FoundFile("f", str(open_folder / "f"), 7, 0)

    def attempt() -> bool:
        for folder in (old, open_folder / "new"):
            with HashCache.open(folder) as cache:
                assert cache.digest(item) == hash_file(item)
        return (open_folder / "new").exists()

    assert not as_ordinary_user(attempt)


def test_a_cache_that_could_not_be_used_is_tried_again_after_a_while(
    folder: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    folder.write_text("in the way")
    with closing(HashStore(folder, clock)) as store:
        clock.now_ns += REST_SECONDS * SECOND_NS
        assert store.find(KEYS) == {}
        assert warnings(caplog) == ["cannot be used"]
        folder.unlink()
        clock.now_ns += (REST_SECONDS - 1) * SECOND_NS
        store.put(ROWS)
        assert store.find(KEYS) == {}
        clock.now_ns += SECOND_NS
        store.put(ROWS)
        assert store.find(KEYS) == dict(ROWS)


def test_a_lock_that_another_does_not_give_back_is_not_waited_for_again_and_again(
    folder: Path, clock: Clock, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = begun(folder, clock)
    monkeypatch.setattr(hash_database, "_PATIENCE_SECONDS", 0.05)
    with closing(HashStore(folder, clock)) as store, closing(sqlite3.connect(file)) as other:
        other.execute("BEGIN IMMEDIATE")
        store.put([((1, 2, 3, 4, 5), b"k" * 32)])
        assert store.find(KEYS) == {}
        other.rollback()
        clock.now_ns += REST_SECONDS * SECOND_NS
        assert store.find(KEYS) == dict(ROWS)
    assert warnings(caplog) == ["cannot be used"]


def test_what_is_not_used_for_long_is_removed_and_what_is_used_stays(
    folder: Path, clock: Clock
) -> None:
    begun(folder, clock)
    for _ in range(2):
        clock.now_ns += (KEPT_DAYS - 10) * DAY_NS
        with closing(HashStore(folder, clock)) as store:
            assert len(store.find(KEYS[:10])) == 10
    with closing(HashStore(folder, clock)) as store:
        assert sorted(store.find(KEYS)) == KEYS[:10]


def test_of_too_many_those_that_are_unused_the_longest_are_removed(
    folder: Path, clock: Clock
) -> None:
    begun(folder, clock)
    clock.now_ns += 20 * DAY_NS
    with closing(HashStore(folder, clock)) as store:
        store.find(KEYS[:500])
    clock.now_ns += DAY_NS
    with closing(HashStore(folder, clock, most_rows=2000)) as store:
        left = store.find(KEYS)
    assert len(left) == 1800  # a tenth less, so that it is not done again at once
    assert left.keys() >= set(KEYS[:500])


def test_too_many_are_removed_while_they_are_written_as_well(folder: Path, clock: Clock) -> None:
    with closing(HashStore(folder, clock, most_rows=500)) as store:
        for start in range(0, len(ROWS), 100):
            store.put(ROWS[start : start + 100])
        assert 0 < len(store.find(KEYS)) <= 1000
