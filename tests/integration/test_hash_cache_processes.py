"""One cache of content hashes under many processes and threads, one of which is killed."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from siteferry.tree.content_hashes import FileState
from siteferry.tree.found import FoundFile
from siteferry.tree.hash_cache import HashCache
from siteferry.tree.hash_store import HashStore
from siteferry.tree.reading import Digest, hash_file
from tests.stores.processes import forked

PROCESSES, THREADS, FILES, SHARED = 4, 3, 200, 100
"""Each process has files of its own, and all of them have some more."""

FIRST, SECOND = "hashes-1.sqlite3", "hashes-2.sqlite3"
PLANTED = "11" * 32


def settled_now() -> int:
    """Ten seconds ahead, so that what a test has just written is settled."""
    return time.time_ns() + 10_000_000_000


def written(folder: Path, prefix: str, count: int) -> list[FoundFile]:
    files = []
    for number in range(count):
        path = folder / f"{prefix}{number}"
        path.write_bytes(path.name.encode() * 50)
        files.append(FoundFile(path.name, str(path), path.stat().st_size, 0))
    return files


def ended(children: list[int]) -> list[int]:
    return [os.waitpid(child, 0)[1] for child in children]


def in_threads(function: Callable[[], None]) -> None:
    """Raises where one of the threads did."""
    failures: list[BaseException] = []

    def call() -> None:
        try:
            function()
        except BaseException as error:  # noqa: BLE001  # raised below
            failures.append(error)

    threads = [threading.Thread(target=call) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def known(folder: Path, files: list[FoundFile]) -> dict[str, str]:
    """What the cache holds of `files`: SHA-256 by path."""
    keys = {FileState.of(Path(item.local).stat(), 0).key: item.path for item in files}
    with closing(HashStore(folder, time.time_ns)) as store:
        return {keys[key]: sha256.hex() for key, sha256 in store.find(list(keys)).items()}


def test_what_each_of_four_processes_reads_is_known_to_all(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """None of them finds the folder there, and all begin at once."""
    folder = tmp_path / "cache"
    shared = written(tmp_path, "shared", SHARED)
    own = [written(tmp_path, f"process{number}-", FILES) for number in range(PROCESSES)]
    waiting, let_go = os.pipe()

    def use(files: list[FoundFile]) -> None:
        os.close(let_go)
        os.read(waiting, 1)  # until the parent lets all of them go at once
        expected = [hash_file(item) for item in files]
        with HashCache.open(folder, settled_now) as cache:

            def scan() -> None:
                assert list(cache.digests(files)) == expected
                for item, digest in zip(files[:20], expected, strict=False):
                    assert cache.digest(item) == digest

            in_threads(scan)
        assert not caplog.records

    children = [forked(partial(use, shared + files)) for files in own]
    os.close(waiting)
    os.close(let_go)
    assert ended(children) == [0] * PROCESSES
    everything = shared + [item for files in own for item in files]
    assert known(folder, everything) == {item.path: hash_file(item).sha256 for item in everything}


def test_a_process_that_is_killed_while_it_writes_leaves_a_cache_that_is_whole(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "cache"
    (item,) = written(tmp_path, "f", 1)
    state = FileState.of(Path(item.local).stat(), settled_now())
    reading, writing = os.pipe()

    def write_for_ever() -> None:
        store, number = HashStore(folder, time.time_ns), 0
        while True:
            number += 1
            store.put([((1, number * 500 + row, 0, 0, 0), b"k" * 32) for row in range(500)])
            os.write(writing, b".")

    for _ in range(5):
        child = forked(write_for_ever)
        assert len(os.read(reading, 1)) + len(os.read(reading, 1)) == 2
        os.kill(child, signal.SIGKILL)
        assert ended([child]) == [signal.SIGKILL]
        with HashCache.open(folder, settled_now) as cache:
            cache.remember(state, Digest(item.size, PLANTED, 0))
            assert cache.digest(item).sha256 == PLANTED
        with closing(sqlite3.connect(folder / FIRST)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    os.close(reading)
    os.close(writing)
    assert not caplog.records


def test_processes_that_meet_the_same_damage_begin_one_new_file(tmp_path: Path) -> None:
    """All have it open when it comes, and what one writes into the new one the others find."""
    folder = tmp_path / "cache"
    files = written(tmp_path, "f", FILES)
    with HashCache.open(folder, settled_now) as cache:
        list(cache.digests(files))
    ready, tell_ready = os.pipe()
    waiting, let_go = os.pipe()

    def use(part: list[FoundFile]) -> None:
        os.close(let_go)
        with HashCache.open(folder, settled_now) as cache:
            os.write(tell_ready, b".")
            os.read(waiting, 1)
            for _ in range(2):
                assert list(cache.digests(part)) == [hash_file(item) for item in part]

    children = [forked(partial(use, files[number::PROCESSES])) for number in range(PROCESSES)]
    for _ in children:
        os.read(ready, 1)
    with (folder / FIRST).open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom((folder / FIRST).stat().st_size - 4096))
    os.close(let_go)
    assert ended(children) == [0] * PROCESSES
    for end in (ready, tell_ready, waiting):
        os.close(end)
    assert known(folder, files) == {item.path: hash_file(item).sha256 for item in files}
    assert {path.name for path in folder.glob("*.sqlite3")} == {FIRST, SECOND}
    with closing(sqlite3.connect(folder / SECOND)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_who_still_has_the_damaged_file_leaves_the_new_ones_log_alone(
    tmp_path: Path,
) -> None:
    """SQLite's last user of a file removes its log, by name."""
    folder = tmp_path / "cache"
    row = ((1, 2, 3, 4, 5), b"k" * 32)
    waiting, let_go = os.pipe()
    ready, tell_ready = os.pipe()

    def hold() -> None:
        os.close(let_go)
        with closing(HashStore(folder, time.time_ns)) as store:
            store.put([row])
            os.write(tell_ready, b".")
            os.read(waiting, 1)
            store.put([((1, 7, 3, 4, 5), b"o" * 32)])

    child = forked(hold)
    os.read(ready, 1)
    with closing(sqlite3.connect(folder / FIRST)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with closing(HashStore(folder, time.time_ns)) as store:
        assert store.find([row[0]]) == {}
        store.put([row])
        os.close(let_go)
        assert ended([child]) == [0]
        assert (folder / (SECOND + "-wal")).exists()
        with closing(HashStore(folder, time.time_ns)) as another:
            assert another.find([row[0]]) == dict([row])
            another.put([((1, 8, 3, 4, 5), b"n" * 32)])
        assert store.find([(1, 7, 3, 4, 5), (1, 8, 3, 4, 5)]) == {(1, 8, 3, 4, 5): b"n" * 32}
    for end in (ready, tell_ready, waiting):
        os.close(end)
