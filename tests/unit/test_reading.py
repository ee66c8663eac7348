"""One reading of one file: its digest, and the ways in which it can have changed."""

from __future__ import annotations

import hashlib
import os
import random
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siteferry.errors import SourceChanged, SourceUnreadable
from siteferry.tree.reading import Digest, SourceReader, hash_file, open_source
from siteferry.tree.scan import FoundFile


def found(local: Path, path: str = "a.txt") -> FoundFile:
    status = local.lstat()
    return FoundFile(path, str(local), status.st_size, int(status.st_mtime))


def read_all(reader: SourceReader, chunk_bytes: int = 4) -> bytes:
    return b"".join(reader.read_chunks(chunk_bytes))


@pytest.mark.parametrize("size", [0, 1, 3, 4, 5, 8, 9, 100])
def test_chunks_and_digest_are_the_files_at_every_border(tmp_path: Path, size: int) -> None:
    content = bytes(range(size))
    (tmp_path / "f").write_bytes(content)
    os.utime(tmp_path / "f", ns=(0, 1_700_000_000_999_999_999))
    with open_source(found(tmp_path / "f")) as reader:
        chunks = list(reader.read_chunks(4))
        digest = reader.finish()
    assert b"".join(chunks) == content
    assert all(1 <= len(chunk) <= 4 for chunk in chunks)
    assert digest == Digest(size, hashlib.sha256(content).hexdigest(), 1_700_000_000)


def test_a_time_before_1970_is_rounded_down_as_well(tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    os.utime(tmp_path / "f", ns=(0, -1))
    assert hash_file(found(tmp_path / "f")).mtime == -1


def test_a_small_file_is_read_with_one_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "f").write_bytes(b"small")
    calls = []
    for name in ("open", "read", "fstat", "lstat", "stat", "close"):
        original = getattr(os, name)

        def counted(*args, _name=name, _original=original, **options):
            calls.append(_name)
            return _original(*args, **options)

        monkeypatch.setattr(os, name, counted)
    item = FoundFile("f", str(tmp_path / "f"), 5, 0)
    calls.clear()
    hash_file(item)
    assert calls == ["open", "fstat", "read", "fstat", "close"]


def test_the_descriptor_is_closed_whatever_happens(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x")
    before = len(list(Path("/proc/self/fd").iterdir()))
    with open_source(found(tmp_path / "f")) as reader:
        list(reader.read_chunks(1))
        reader.close()
    with pytest.raises(KeyError), open_source(found(tmp_path / "f")):
        raise KeyError
    os.mkfifo(tmp_path / "p")
    with pytest.raises(SourceChanged):
        open_source(found(tmp_path / "p"))
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def grow_keeping_the_time(path: Path) -> None:
    before = path.stat().st_mtime_ns
    grow(path)
    os.utime(path, ns=(0, before))


def shrink(path: Path) -> None:
    os.truncate(path, 2)


def overwrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"OTHER")
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))


def replace(path: Path) -> None:
    other = path.with_suffix(".new")
    other.write_bytes(path.read_bytes())
    os.utime(other, ns=(0, path.stat().st_mtime_ns))
    other.replace(path)


def replace_keeping_a_hard_link(path: Path) -> None:
    """Leaves the number of links as it was, so only the inode's change time tells."""
    probe = path.with_suffix(".probe")
    probe.touch()
    while probe.stat().st_ctime_ns == path.stat().st_ctime_ns:  # until the kernel's next tick
        probe.touch()
    path.with_suffix(".kept").hardlink_to(path)
    replace(path)


def remove(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize(
    "change",
    [grow, grow_keeping_the_time, shrink, overwrite, replace, replace_keeping_a_hard_link, remove],
)
@pytest.mark.parametrize("when", ["before reading", "between chunks", "after reading"])
def test_a_file_that_changes_meanwhile_is_noticed(
    tmp_path: Path, change: Callable[[Path], None], when: str
) -> None:
    path = tmp_path / "f.txt"
    path.write_bytes(b"0123456789")
    os.utime(path, (1, 1))
    with open_source(found(path)) as reader:
        if when == "before reading":
            change(path)
        chunks = reader.read_chunks(4)
        next(chunks)
        if when == "between chunks":
            change(path)
        list(chunks)
        if when == "after reading":
            change(path)
        with pytest.raises(SourceChanged) as changed:
            reader.finish()
    assert "a.txt" in changed.value.message
    assert changed.value.transient


def test_a_file_that_grows_for_ever_is_not_read_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"0123")
    with open_source(found(path)) as reader:
        given = 0
        for chunk in reader.read_chunks(2):
            given += len(chunk)
            grow(path)
            assert given <= 5
        with pytest.raises(SourceChanged):
            reader.finish()


def test_new_rights_or_a_new_hard_link_are_no_change(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"x")
    with open_source(found(path)) as reader:
        assert read_all(reader) == b"x"
        path.chmod(0o600)
        (tmp_path / "g").hardlink_to(path)
        assert reader.finish().size == 1


def test_a_reading_that_was_not_finished_gives_no_digest(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"0123456789")
    with open_source(found(tmp_path / "f")) as reader:
        next(reader.read_chunks(4))
        with pytest.raises(SourceChanged):
            reader.finish()


def test_a_file_that_is_not_there_is_unreadable_with_the_systems_words(tmp_path: Path) -> None:
    with pytest.raises(SourceUnreadable) as unreadable:
        open_source(FoundFile("a.txt", str(tmp_path / "gone"), 1, 0))
    assert unreadable.value.message == "a.txt cannot be read: No such file or directory"
    assert isinstance(unreadable.value.__cause__, FileNotFoundError)


def test_a_file_without_permission_is_unreadable(
    open_folder: Path, as_ordinary_user: Callable[[Callable[[], str]], str]
) -> None:
    path = open_folder / "secret"
    path.write_bytes(b"x")
    path.chmod(0o000)

    def attempt() -> str:
        with pytest.raises(SourceUnreadable) as unreadable:
            open_source(FoundFile("secret", str(path), 1, 0))
        return str(unreadable.value)

    assert as_ordinary_user(attempt) == (
        "secret cannot be read: Permission denied. "
        "Make it readable for the user that the worker runs as, or exclude it."
    )


def test_a_link_that_took_the_files_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"x")
    (tmp_path / "f").symlink_to("target")
    with pytest.raises(SourceChanged, match="became a symbolic link"):
        open_source(found(tmp_path / "f"))


def test_a_fifo_that_took_the_files_place_does_not_hold_the_worker(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "f")
    with pytest.raises(SourceChanged, match="is no longer a file"):
        open_source(found(tmp_path / "f"))


def test_a_directory_that_took_the_files_place_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()
    with pytest.raises(SourceChanged, match="is no longer a file"):
        open_source(found(tmp_path / "f"))


@given(st.data())
def test_a_reading_that_begins_later_has_the_digest_of_the_whole(data: st.DataObject) -> None:
    content = data.draw(st.binary(max_size=50))
    proof_bytes = data.draw(st.integers(0, len(content)))
    offset = data.draw(st.integers(0, proof_bytes))
    proof = hashlib.sha256(content[:proof_bytes]).hexdigest()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "f")
        path.write_bytes(content)
        with open_source(found(path)) as reader:
            assert reader.skip(offset, proof_bytes, proof)
            assert reader.count == offset
            assert b"".join(reader.read_chunks(7)) == content[offset:]
            assert reader.digest_so_far() == hashlib.sha256(content).hexdigest()
            assert reader.finish().sha256 == hashlib.sha256(content).hexdigest()


def test_a_reading_does_not_begin_later_where_the_file_is_another_one_by_now(
    tmp_path: Path,
) -> None:
    (tmp_path / "f").write_bytes(b"0123456789")
    with open_source(found(tmp_path / "f")) as reader:
        assert not reader.skip(3, 5, hashlib.sha256(b"01x34").hexdigest())
        assert not reader.skip(3, 20, hashlib.sha256(b"0123456789").hexdigest())
        assert reader.count == 0
        assert read_all(reader) == b"0123456789"
        assert reader.finish().sha256 == hashlib.sha256(b"0123456789").hexdigest()


def test_a_long_file_is_hashed_beside_the_reading_with_the_same_result(tmp_path: Path) -> None:
    """And each state on the way is that of what has been given, not of what has been hashed."""
    content = random.Random(3).randbytes(5_000_000)
    (tmp_path / "f").write_bytes(content)
    before = threading.active_count()
    with open_source(found(tmp_path / "f")) as reader:
        for _ in reader.read_chunks(300_000):
            assert threading.active_count() == before + 1
            seen = hashlib.sha256(content[: reader.count]).hexdigest()
            assert reader.digest_so_far() == seen
        assert reader.finish().sha256 == hashlib.sha256(content).hexdigest()
    assert threading.active_count() == before


def test_a_long_file_that_is_closed_in_the_middle_leaves_no_thread(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(bytes(5_000_000))
    before = threading.active_count()
    with open_source(found(tmp_path / "f")) as reader:
        next(reader.read_chunks(300_000))
    assert threading.active_count() == before
