"""What a run is about, and what it may delete."""

from __future__ import annotations

from pathlib import Path

import pytest

from siteferry.errors import SafetyLimit, SourceUnreadable
from siteferry.tree.found import FoundDirectory, FoundFile, Scan
from siteferry.tree.manifest import Entry, Manifest
from siteferry.tree.removal import Removal, check_limit, gone_from_source
from siteferry.tree.rules import Rules
from siteferry.tree.selection import Selection

ALL = Selection([Rules()])


def scan(*paths: str, failures: tuple[str, ...] = (), directories: tuple[str, ...] = ()) -> Scan:
    folders: dict[str, list[FoundFile]] = {"": [], **{d: [] for d in directories}}
    for path in paths:
        directory = path.rpartition("/")[0]
        above = directory
        while above:
            folders.setdefault(above, [])
            above = above.rpartition("/")[0]
        folders.setdefault(directory, []).append(FoundFile(path, f"/src/{path}", 1, 0))
    return Scan(
        tuple(FoundDirectory(d, tuple(files)) for d, files in sorted(folders.items())),
        tuple((path, SourceUnreadable(f"{path} cannot be read")) for path in failures),
        (),
    )


def published(*paths: str) -> Manifest:
    entry = Entry(1, "a" * 64, None)
    return Manifest("r0", "s", frozenset(), dict.fromkeys(paths, entry))


def test_what_was_published_and_is_gone_is_removed_with_its_directories_children_first() -> None:
    removal = gone_from_source(published("a", "b/c/d", "b/c/e"), scan("a"), ALL)
    assert removal == Removal(("b/c/d", "b/c/e"), ("b/c", "b"))


def test_what_could_not_be_looked_at_counts_as_being_there() -> None:
    before = published("a", "b/c/d", "x")
    assert gone_from_source(before, scan("a", failures=("b",)), ALL).files == ("x",)
    assert gone_from_source(before, scan(failures=("",)), ALL) == Removal()


def test_a_file_that_is_a_directory_now_is_not_removed_but_makes_room() -> None:
    removal = gone_from_source(published("a", "b/c"), scan("a/x", "b"), ALL)
    assert removal == Removal(("b/c",), ())


def test_what_is_excluded_or_protected_or_another_websites_stays() -> None:
    rules = Rules(["*.log", "cache/"], ["uploads/"])
    selection = Selection([rules], foreign=frozenset({"shop"}))
    gone = ("a.log", "cache/x", "uploads/y", "shop/z", "shop", "page.html")
    assert gone_from_source(published(*gone), scan(), selection).files == ("page.html",)
    assert not selection.may_delete("shop", is_directory=True)
    assert selection.may_purge("a.log", is_directory=False)
    assert not selection.may_purge("uploads/y", is_directory=False)
    assert not selection.may_purge("shop/z", is_directory=False)


def test_an_ignore_file_keeps_what_it_names_as_the_configuration_does(tmp_path: Path) -> None:
    (tmp_path / ".siteferryignore").write_text("drafts/\n")
    selection = Selection([Rules().in_source(tmp_path)])
    assert not selection.may_delete("drafts/x")
    assert selection.may_delete("other/x")


def test_only_leaves_the_rest_alone_in_both_directions() -> None:
    selection = Selection([Rules()], ["blog/", "*.css"])
    found = selection.of(scan("a.css", "index.html", "blog/x/post.html", "other/y.html"))
    assert [f.path for d in found.directories for f in d.files] == ["a.css", "blog/x/post.html"]
    assert [d.path for d in found.directories] == ["", "blog", "blog/x"]
    before = published("old.css", "old.html", "blog/old.html", "other/y.html")
    removal = gone_from_source(before, found, selection)
    assert removal == Removal(("blog/old.html", "old.css"), ())


@pytest.mark.parametrize(("count", "allowed", "stopped"), [(3, 3, False), (4, 3, True)])
def test_more_than_the_limit_stops_the_run(count: int, allowed: int, stopped: bool) -> None:
    if not stopped:
        check_limit(count, allowed, 30, "10%")
        return
    with pytest.raises(
        SafetyLimit, match=r"4 of 30 files would be deleted, and delete\.max is 10%"
    ):
        check_limit(count, allowed, 30, "10%")


def test_a_removal_is_joined_in_the_order_in_which_it_is_carried_out() -> None:
    joined = Removal(("b",), ("x",)).joined(["a", "b"], ["x/y", "x/y/z"])
    assert joined == Removal(("a", "b"), ("x/y/z", "x/y", "x"))
    assert not Removal()
    assert Removal((), ("x",))
