"""What tasks are called where people look at them: by website, directory and files."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.labels import LONGEST, directories_label, files_label
from siteferry.ledger.items import Child
from siteferry.run import Member
from siteferry.task_labels import member_shown, shown_arguments, shown_name, shown_run
from siteferry.tree.found import FoundFile

ODD = [
    "new\nline",
    "tab\there",
    "\x1b[31mred",
    "\u202eright to left",
    "not utf-8 \udcff",
    'quote " and \\ backslash \\" both',
    "ends in \\",
    "<script>alert(1)</script>",
    "žalias/𝔘nicode",
    "x" * 4000,
    "deep/" * 500 + "end",
]
names = st.text(st.characters(exclude_characters="/\0"), min_size=1, max_size=300)
paths = st.lists(names, max_size=4).map("/".join)


def found(path: str, size: int = 1000) -> FoundFile:
    return FoundFile(path, f"/w/{path}", size, 0)


@pytest.mark.parametrize(
    ("directories", "label"),
    [
        (["img"], "img"),
        ([""], "top directory"),
        (["wp/a", "wp/b", "wp/b/c"], "wp (3 directories)"),
        (["wp", "wp/b"], "wp (2 directories)"),
        (["", "blog", "img"], "top directory to img (3 directories)"),
        (["blog", "img"], "blog to img (2 directories)"),
    ],
)
def test_directories_are_told_by_what_they_share_or_by_the_first_and_the_last(
    directories: list[str], label: str
) -> None:
    assert directories_label(directories) == label


def test_directories_that_only_the_server_has_say_so() -> None:
    assert directories_label(["old"], foreign=True) == "old (only on the server)"
    assert directories_label(["old/a", "old/b"], foreign=True) == (
        "old (2 directories, only on the server)"
    )


@pytest.mark.parametrize(
    ("files", "label"),
    [
        ([found("film.mp4", 12_300_000)], "film.mp4 (12.3 MB)"),
        ([found("img/a"), found("img/b")], "img (2 files)"),
        ([found("a"), found("b")], "top directory (2 files)"),
        ([found("a"), found("img/b")], "top directory to img (2 files)"),
        ([found("blog/x/a"), found("blog/y/b")], "blog (2 files)"),
    ],
)
def test_files_are_told_by_their_directories_and_their_number(
    files: list[FoundFile], label: str
) -> None:
    assert files_label(files) == label


def test_of_a_path_that_is_too_long_the_end_is_told() -> None:
    label = files_label([found("a/" * 300 + "the-file.html")])
    assert label.startswith("…")
    assert label.endswith("a/the-file.html (1.0 kB)")
    assert len(label) == LONGEST


@pytest.mark.parametrize("path", ODD)
def test_an_odd_path_gives_a_short_line_that_any_page_can_hold(path: str) -> None:
    for label in (directories_label([path, "z"]), files_label([found(path)])):
        assert label.isprintable()
        assert len(label) <= LONGEST
        assert label.encode()


@given(st.lists(paths, min_size=1, max_size=5))
def test_whatever_the_paths_are_a_label_is_short_and_printable(some: list[str]) -> None:
    for label in (directories_label(some), files_label([found(path) for path in some])):
        assert label.isprintable()
        assert 0 < len(label) <= LONGEST


@pytest.mark.parametrize("label", [*ODD[5:9], 'a"b', "\\", '"', "", "{}"])
def test_a_label_stands_first_in_the_body_without_a_quote_and_reads_back(label: str) -> None:
    _, text, _ = Child("files-0-0", {"files": [["a", "/a", 1, 0]]}, label=label).row()
    assert isinstance(text, str)
    body = json.loads(text)
    assert body.pop("label", "") == label
    assert body == {"files": [["a", "/a", 1, 0]]}
    if label:
        beginning = text.removeprefix('{"label":"')
        assert json.loads(f'"{beginning.partition(chr(34))[0]}"') == label


def test_a_message_shows_website_directory_and_run_and_gives_them_back() -> None:
    member = Member("run-1", "files-0-0", 3, "example", "img, run run-1, attempt 3 (64 files)")
    name, arguments = shown_name("siteferry.files", member), shown_arguments(member)
    assert (name, arguments, shown_run(member)) == (
        "siteferry.files[example]",
        "example: img, run run-1, attempt 3 (64 files)",
        "run run-1, attempt 3",
    )
    again = member_shown(Member("run-1", "files-0-0", 3), name, arguments)
    assert (again.site, again.label) == (member.site, member.label)


def test_an_item_of_the_whole_website_has_no_label_and_gets_none_by_being_read_back() -> None:
    member = Member("run-1", "publish", 1, "example")
    name, arguments = shown_name("siteferry.publish", member), shown_arguments(member)
    assert arguments == "example: the whole website"
    assert member_shown(member, name, arguments).label == ""


def test_a_message_of_a_version_without_labels_is_carried_without() -> None:
    member = Member("run-1", "files-0-0", 1)
    assert shown_name("siteferry.files", member) is None
    for name, arguments in ((None, "['run-1', 'files-0-0', 1]"), (None, None), ("", "")):
        assert member_shown(member, name, arguments).site == ""


def test_two_members_are_the_same_attempt_whatever_is_known_of_them() -> None:
    bare, told = Member("r", "plan", 1), Member("r", "plan", 1, "example", "img")
    assert bare == told
    assert len({bare, told}) == 1
