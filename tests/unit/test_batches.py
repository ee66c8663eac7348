"""Packing directories and files into tasks."""

from __future__ import annotations

from itertools import chain

from hypothesis import given, settings
from hypothesis import strategies as st

from siteferry.tree.batches import group_directories, make_batches
from siteferry.tree.scan import FoundDirectory, FoundFile, Scan


def files(*sizes: int, directory: str = "") -> tuple[FoundFile, ...]:
    below = f"{directory}/" if directory else ""
    return tuple(FoundFile(f"{below}{n}", f"/src/{n}", size, 0) for n, size in enumerate(sizes))


def tree(**directories: list[int]) -> Scan:
    found = [
        FoundDirectory(path, files(*sizes, directory=path)) for path, sizes in directories.items()
    ]
    return Scan(tuple(found), (), ())


def sizes(batches: tuple[tuple[FoundFile, ...], ...]) -> list[list[int]]:
    return [[found.size for found in batch] for batch in batches]


def test_small_directories_share_a_task_in_the_order_of_the_scan() -> None:
    found = tree(a=[1], b=[1, 1], c=[1])
    assert group_directories(found, most_files=5, most_bytes=100) == (("a", "b"), ("c",))


def test_a_directory_with_more_files_than_the_limit_stays_one_and_is_alone() -> None:
    found = tree(a=[1], big=[1] * 9, c=[1], d=[1])
    assert group_directories(found, most_files=5, most_bytes=100) == (("a",), ("big",), ("c", "d"))


def test_a_directory_with_much_content_is_alone() -> None:
    found = tree(a=[1], big=[101], c=[1])
    assert group_directories(found, most_files=50, most_bytes=100) == (("a",), ("big",), ("c",))


def test_empty_directories_do_not_pile_up_in_one_task_without_end() -> None:
    found = tree(**{f"d{n}": [] for n in range(10)})
    assert [len(group) for group in group_directories(found, most_files=4)] == [4, 4, 2]


def test_a_tree_without_directories_makes_no_tasks() -> None:
    assert group_directories(tree()) == ()
    assert make_batches(()) == ()


def test_a_batch_ends_at_the_number_of_files() -> None:
    assert sizes(make_batches(files(1, 2, 3, 4, 5), 2, 100)) == [[1, 2], [3, 4], [5]]


def test_a_batch_ends_at_the_number_of_bytes() -> None:
    assert sizes(make_batches(files(60, 40, 1, 99, 2), 10, 100)) == [[60, 40], [1, 99], [2]]


def test_a_large_file_is_alone_and_does_not_end_the_batch_around_it() -> None:
    assert sizes(make_batches(files(1, 101, 2, 500, 3), 10, 100)) == [[1, 2, 3], [101], [500]]


def test_a_file_of_just_the_limit_is_not_large() -> None:
    assert sizes(make_batches(files(100, 0, 0), 10, 100)) == [[100, 0, 0]]


@settings(deadline=None)  # a loaded machine is no failure
@given(st.lists(st.integers(0, 150)), st.integers(1, 5), st.integers(1, 100))
def test_every_file_is_in_exactly_one_batch_within_the_limits(
    lengths: list[int], most_files: int, most_bytes: int
) -> None:
    found = files(*lengths)
    batches = make_batches(found, most_files, most_bytes)
    assert sorted(f.path for f in chain(*batches)) == sorted(f.path for f in found)
    for batch in batches:
        assert 1 <= len(batch) <= most_files
        assert len(batch) == 1 or sum(f.size for f in batch) <= most_bytes


@settings(deadline=None)  # a loaded machine is no failure
@given(st.lists(st.lists(st.integers(0, 50), max_size=8)), st.integers(1, 8))
def test_every_directory_is_in_exactly_one_group_in_order(
    contents: list[list[int]], most_files: int
) -> None:
    found = tree(**{f"{n:04}": lengths for n, lengths in enumerate(contents)})
    groups = group_directories(found, most_files, most_bytes=100)
    assert list(chain(*groups)) == [directory.path for directory in found.directories]
