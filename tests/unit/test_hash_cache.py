"""What the cache knows of a file it knows of this very content."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from siteferry.errors import SourceChanged, SourceUnreadable
from siteferry.tree.content_hashes import SETTLED_SECONDS, FileState, Key, NoCache
from siteferry.tree.found import FoundFile
from siteferry.tree.hash_cache import HashCache
from siteferry.tree.hash_store import HashStore
from siteferry.tree.reading import Digest, hash_file

SECOND_NS = 1_000_000_000
PLANTED = "11" * 32
"""No content of a test has this hash: who gets it has got it from the cache."""


class Clock:
    """Ten seconds ahead, so that what a test has just written is settled."""

    def __init__(self) -> None:
        self.ahead_ns = 10 * SECOND_NS

    def __call__(self) -> int:
        return time.time_ns() + self.ahead_ns


def found(local: Path) -> FoundFile:
    status = local.lstat()
    return FoundFile(local.name, str(local), status.st_size, int(status.st_mtime))


def write(path: Path, content: bytes = b"0123456789") -> Path:
    path.write_bytes(content)
    return path


def state(path: Path, clock: Clock) -> FileState:
    return FileState.of(path.stat(), clock())


def plant(cache: HashCache, path: Path, clock: Clock) -> None:
    """Have `path`, as it is now, remembered with a hash that it has not."""
    cache.remember(state(path, clock), Digest(path.stat().st_size, PLANTED, 0))


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def look_into(folder: Path, keys: list[Key]) -> dict[Key, bytes]:
    with contextlib.closing(HashStore(folder, time.time_ns)) as store:
        return store.find(keys)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state" / "cache"


@pytest.mark.parametrize("mtime_ns", [-1, 0, 1_700_000_000_999_999_999])
def test_a_known_digest_is_the_one_that_reading_gives(
    tmp_path: Path, folder: Path, clock: Clock, mtime_ns: int
) -> None:
    path = write(tmp_path / "f")
    os.utime(path, ns=(0, mtime_ns))
    with HashCache.open(folder, clock) as cache:
        assert cache.digest(found(path)) == hash_file(found(path))
        assert cache.digest(found(path)) == hash_file(found(path))


def test_what_was_read_is_not_read_again_nor_by_the_next_who_opens_the_cache(
    tmp_path: Path, folder: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "f")
    with HashCache.open(folder, clock) as cache:
        expected = cache.digest(found(path))
    monkeypatch.delattr(os, "read")
    with HashCache.open(folder, clock) as cache:
        assert cache.digest(found(path)) == expected


def test_many_files_give_their_results_in_order_and_errors_in_their_places(
    tmp_path: Path, folder: Path, clock: Clock
) -> None:
    """More files than are looked up at a time; every second one is known."""
    files = [found(write(tmp_path / f"{number}", b"%d" % number)) for number in range(600)]
    Path(files[3].local).unlink()
    Path(files[300].local).unlink()
    os.mkfifo(files[300].local)
    with HashCache.open(folder, clock) as cache:
        assert len(list(cache.digests(files[::2]))) == 300
        results = list(cache.digests(files))
        assert list(cache.digests([])) == []
    assert isinstance(results.pop(300), SourceChanged)
    assert isinstance(results.pop(3), SourceUnreadable)
    del files[300], files[3]
    assert results == [hash_file(item) for item in files]


def test_errors_are_raised_as_by_reading(tmp_path: Path, folder: Path, clock: Clock) -> None:
    os.mkfifo(tmp_path / "p")
    (tmp_path / "l").symlink_to(write(tmp_path / "f"))
    with HashCache.open(folder, clock) as cache:
        for name in ("p", "l", "gone"):
            item = FoundFile(name, str(tmp_path / name), 1, 0)
            with pytest.raises((SourceChanged, SourceUnreadable)) as by_reading:
                hash_file(item)
            with pytest.raises(by_reading.type, match=by_reading.value.message):
                cache.digest(item)


def test_a_file_that_may_not_be_read_is_unreadable_though_it_is_known(
    open_folder: Path, as_ordinary_user: Callable[[Callable[[], str]], str]
) -> None:
    path = write(open_folder / "f")
    (open_folder / "home").mkdir()
    (open_folder / "home").chmod(0o777)
    path.chmod(0o000)

    def attempt() -> str:
        clock, folder = Clock(), open_folder / "home" / "cache"
        with HashCache.open(folder, clock) as cache:
            plant(cache, path, clock)
            with pytest.raises(SourceUnreadable) as unreadable:
                cache.digest(found(path))
        return unreadable.value.message

    assert as_ordinary_user(attempt) == "f cannot be read: Permission denied"


def rewrite(path: Path) -> None:
    path.write_bytes(b"9876543210")


def rewrite_and_set_the_time_back(path: Path) -> None:
    before = path.stat().st_mtime_ns
    rewrite(path)
    os.utime(path, ns=(0, before))


def replace_by_one_of_the_same_time(path: Path) -> None:
    other = write(path.with_suffix(".new"), b"9876543210")
    os.utime(other, ns=(0, path.stat().st_mtime_ns))
    other.replace(path)


def swap_the_folder_for_one_of_the_same_times(path: Path) -> None:
    """As a deployment does: no inode of a file is touched by it."""
    other = path.parent.with_name("other")
    other.mkdir()
    os.utime(write(other / path.name, b"9876543210"), ns=(0, path.stat().st_mtime_ns))
    path.parent.rename(path.parent.with_name("previous"))
    other.rename(path.parent)


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"x")


@pytest.mark.parametrize(
    "change",
    [
        rewrite,
        rewrite_and_set_the_time_back,
        replace_by_one_of_the_same_time,
        swap_the_folder_for_one_of_the_same_times,
        grow,
    ],
)
def test_a_file_that_has_changed_is_never_taken_for_the_old_one(
    tmp_path: Path, folder: Path, clock: Clock, change: Callable[[Path], None]
) -> None:
    (tmp_path / "site").mkdir()
    path = write(tmp_path / "site" / "f.txt")
    with HashCache.open(folder, clock) as cache:
        cache.digest(found(path))
        plant(cache, path, clock)
        assert cache.digest(found(path)).sha256 == PLANTED
        change(path)
        assert cache.digest(found(path)).sha256 == sha256(path)
        plant(cache, path, clock)
        assert cache.digest(found(path)).sha256 == PLANTED


def test_a_file_that_has_just_been_written_is_hashed_and_not_kept(
    tmp_path: Path, folder: Path, clock: Clock
) -> None:
    """It may be written again within the grain of its times, and they would not tell."""
    path = write(tmp_path / "f")
    key = state(path, clock).key
    for now_ns, kept in ((time.time_ns, False), (clock, True)):
        with HashCache.open(folder, now_ns) as cache:
            assert cache.digest(found(path)).sha256 == sha256(path)
        assert (key in look_into(folder, [key])) is kept


def test_a_state_is_settled_when_both_times_are_older_than_the_grain(tmp_path: Path) -> None:
    path = write(tmp_path / "f")
    grain_ns = int(SETTLED_SECONDS * SECOND_NS)
    os.utime(path, ns=(0, 0))
    changed = path.stat().st_ctime_ns
    assert not FileState.of(path.stat(), changed + grain_ns).settled
    assert FileState.of(path.stat(), changed + grain_ns + 1).settled
    future = changed + 100 * SECOND_NS
    os.utime(path, ns=(0, future))
    assert not FileState.of(path.stat(), future + grain_ns).settled
    assert FileState.of(path.stat(), future + grain_ns + 1).settled


def test_what_is_not_settled_or_of_another_size_is_not_remembered(
    tmp_path: Path, folder: Path, clock: Clock
) -> None:
    path = write(tmp_path / "f")
    with HashCache.open(folder, clock) as cache:
        cache.remember(FileState.of(path.stat(), time.time_ns()), Digest(10, PLANTED, 0))
        cache.remember(state(path, clock), Digest(9, PLANTED, 0))
        assert cache.digest(found(path)).sha256 == sha256(path)


def test_what_was_remembered_last_is_written_at_the_end(
    tmp_path: Path, folder: Path, clock: Clock
) -> None:
    path = write(tmp_path / "f")
    with HashCache.open(folder, clock) as cache:
        plant(cache, path, clock)
    with HashCache.open(folder, clock) as cache:
        assert cache.digest(found(path)).sha256 == PLANTED


def test_a_closed_cache_and_none_at_all_read_every_file(
    tmp_path: Path, folder: Path, clock: Clock
) -> None:
    path = write(tmp_path / "f")
    closed = HashCache.open(folder, clock)
    plant(closed, path, clock)
    closed.close()
    gone = FoundFile("gone", str(tmp_path / "gone"), 1, 0)
    with NoCache() as none:
        none.remember(state(path, clock), Digest(10, PLANTED, 0))
        for cache in (closed, none):
            assert cache.digest(found(path)).sha256 == sha256(path)
            digest, error = cache.digests([found(path), gone])
            assert digest == hash_file(found(path))
            assert isinstance(error, SourceUnreadable)


def test_many_threads_share_one_cache(tmp_path: Path, folder: Path, clock: Clock) -> None:
    files = [found(write(tmp_path / f"{number}", b"%d" % number)) for number in range(200)]
    expected = [hash_file(item) for item in files]
    results: list[list[object]] = []
    with HashCache.open(folder, clock) as cache:

        def use() -> None:
            for _ in range(3):
                results.append(list(cache.digests(files)))

        threads = [threading.Thread(target=use) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert results == [expected] * 24


def test_folder_and_files_are_their_owners_alone(
    tmp_path: Path, folder: Path, clock: Clock
) -> None:
    before = os.umask(0)
    try:
        with HashCache.open(folder, clock) as cache:
            cache.digest(found(write(tmp_path / "f")))
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    database = "hashes-1.sqlite3"
    names = [database, f"{database}-wal", f"{database}-shm", "hashes.lock"]
    assert modes == dict.fromkeys(names, 0o600)
