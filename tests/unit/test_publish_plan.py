"""What a publish does is decided without a server: order, room, conflicts, and the new manifest."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping

from siteferry.tree.manifest import Entry, Manifest
from siteferry.tree.publish_order import in_classes, publish_class
from siteferry.tree.publish_plan import PublishPlan, Staged, Wanted, plan_publish

ORDER = ("assets", "pages", "entry")


def entry(size: int = 1) -> Entry:
    return Entry(size, "aa", None)


def make(
    *,
    before: Iterable[str] = (),
    staged: Iterable[str] = (),
    directories: Iterable[str] = (),
    existing: Iterable[str] = (),
    files_in_the_way: Iterable[str] = (),
    folders_in_the_way: Mapping[str, Iterable[str]] | None = None,
) -> PublishPlan:
    manifest = Manifest("r0", "s", frozenset({""}), {path: entry() for path in before})
    wanted = Wanted(
        "r1",
        "s",
        manifest,
        frozenset({"", *directories}),
        {path: Staged(f".ht{n}", 2, "bb", None) for n, path in enumerate(staged)},
    )
    return plan_publish(
        wanted,
        staging="/x/.htsiteferry/r1",
        order=ORDER,  # type: ignore[arg-type]
        existing=frozenset(existing),
        files_in_the_way=frozenset(files_in_the_way),
        folders_in_the_way={p: frozenset(f) for p, f in (folders_in_the_way or {}).items()},
        trash_name_of=map("t{}".format, itertools.count()),
    )


def test_assets_come_before_pages_and_entry_points_last() -> None:
    paths = ["index.html", "a/index.php", "about.html", "s.css", ".htaccess", "x.php", "logo"]
    assert in_classes(paths, ORDER) == [  # type: ignore[arg-type]
        ["logo", "s.css"],
        ["about.html", "x.php"],
        [".htaccess", "a/index.php", "index.html"],
    ]


def test_a_directory_called_index_makes_no_entry_point_of_its_files() -> None:
    assert publish_class("index/style.css") == "assets"
    assert publish_class("INDEX.HTML") == "entry"


def test_only_directories_that_are_missing_are_made_parents_first() -> None:
    plan = make(directories=["a/b", "a", "c"], existing=["c"])
    assert plan.journal.directories == ("a", "a/b")


def test_the_new_manifest_keeps_what_was_not_sent_and_replaces_what_was() -> None:
    plan = make(before=["a", "b"], staged=["b", "c"])
    assert plan.manifest.files["a"] == entry()
    assert plan.manifest.files["b"].sha256 == "bb"
    assert set(plan.manifest.files) == {"a", "b", "c"}


def test_our_own_file_makes_room_for_a_directory() -> None:
    plan = make(before=["a"], staged=["a/x"], directories=["a"], files_in_the_way=["a"])
    assert [(p.path, p.trash) for p in plan.journal.clear] == [("a", "t0")]
    assert plan.journal.directories == ("a",)
    assert set(plan.manifest.files) == {"a/x"}
    assert "a" in plan.manifest.directories
    assert plan.conflicts == {}


def test_our_own_directory_makes_room_for_a_file() -> None:
    plan = make(before=["a/x", "b"], staged=["a"], folders_in_the_way={"a": ["a/x"]})
    assert [p.path for p in plan.journal.clear] == ["a"]
    assert set(plan.manifest.files) == {"a", "b"}
    assert "a" not in plan.manifest.directories


def test_a_strangers_file_is_not_put_aside_for_a_directory() -> None:
    plan = make(staged=["a/x", "b"], directories=["a", "a/c"], files_in_the_way=["a"])
    assert plan.journal.clear == ()
    assert set(plan.conflicts) == {"a/x"}
    assert "did not publish" in str(plan.conflicts["a/x"])
    assert plan.journal.directories == ()
    assert [m.target for m in plan.journal.moves] == ["b"]
    assert set(plan.manifest.files) == {"b"}


def test_a_strangers_empty_directory_is_not_put_aside_for_a_file() -> None:
    plan = make(staged=["a"], folders_in_the_way={"a": []})
    assert plan.journal.clear == ()
    assert set(plan.conflicts) == {"a"}


def test_a_directory_with_one_strangers_file_is_not_put_aside() -> None:
    plan = make(before=["a/x"], staged=["a"], folders_in_the_way={"a": ["a/x", "a/theirs.jpg"]})
    assert plan.journal.clear == ()
    assert "a/theirs.jpg" in str(plan.conflicts["a"])
    assert plan.journal.moves == ()
    assert set(plan.manifest.files) == {"a/x"}
