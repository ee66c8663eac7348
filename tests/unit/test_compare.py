"""What counts as changed: the size, then the content, never the time."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from siteferry.errors import SourceUnreadable
from siteferry.tree.compare import Comparison, compare
from siteferry.tree.content_hashes import NoCache
from siteferry.tree.manifest import Entry
from siteferry.tree.rules import Rules
from siteferry.tree.scan import FoundDirectory, SourceRoot, list_directory


def look(root: Path, path: str = "") -> FoundDirectory:
    directory = list_directory([SourceRoot(root)], path, Rules()).directory
    assert directory
    return directory


def entry(content: bytes, mtime: int | None = None) -> Entry:
    return Entry(len(content), hashlib.sha256(content).hexdigest(), mtime)


def names(result: Comparison) -> tuple[list[str], list[str], list[str]]:
    return (
        [found.path for found in result.changed],
        [found.path for found in result.unchanged],
        [path for path, _ in result.failures],
    )


def test_a_file_that_was_never_published_is_changed(tmp_path: Path) -> None:
    (tmp_path / "new").write_bytes(b"")
    assert names(compare(look(tmp_path), {}, NoCache())) == (["new"], [], [])


def test_another_size_is_changed_without_reading(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1234")
    directory = look(tmp_path)
    (tmp_path / "a").unlink()
    assert names(compare(directory, {"a": entry(b"123")}, NoCache())) == (["a"], [], [])


def test_the_same_content_is_unchanged_whatever_its_time(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1234")
    os.utime(tmp_path / "a", (1, 1))
    assert names(compare(look(tmp_path), {"a": entry(b"1234", mtime=2**31)}, NoCache())) == (
        [],
        ["a"],
        [],
    )


def test_other_content_of_the_same_size_and_time_is_changed(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1234")
    os.utime(tmp_path / "a", (5, 5))
    assert names(compare(look(tmp_path), {"a": entry(b"4321", mtime=5)}, NoCache())) == (
        ["a"],
        [],
        [],
    )


def test_the_part_of_a_subdirectory_is_looked_up_by_name(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a").write_bytes(b"x")
    assert names(compare(look(tmp_path, "sub"), {"a": entry(b"x")}, NoCache())) == (
        [],
        ["sub/a"],
        [],
    )


def test_a_file_that_vanished_since_the_listing_is_a_failure_of_its_own(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"x")
    directory = look(tmp_path)
    (tmp_path / "a").unlink()
    result = compare(directory, {"a": entry(b"x"), "b": entry(b"x")}, NoCache())
    assert names(result) == ([], ["b"], ["a"])
    assert isinstance(result.failures[0][1], SourceUnreadable)


def test_a_file_that_something_else_has_replaced_is_left_to_the_transfer(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    directory = look(tmp_path)
    (tmp_path / "a").unlink()
    (tmp_path / "a").symlink_to("b")
    assert names(compare(directory, {"a": entry(b"x")}, NoCache())) == (["a"], [], [])
