"""A file whose name changed only in case is not deleted together with its old name."""

from __future__ import annotations

import itertools

from siteferry.tree.manifest import Entry, Manifest
from siteferry.tree.publish_plan import PublishPlan, Staged, Wanted, plan_publish
from siteferry.tree.removal import Removal
from siteferry.tree.twins import parting, twins


def wanted(before: list[str], staged: list[str], gone: list[str]) -> Wanted:
    files = {path: Entry(1, "aa", None) for path in before}
    return Wanted(
        "r1",
        "s",
        Manifest("r0", "s", frozenset(), files),
        frozenset({""}),
        {path: Staged(f".ht{n}", 2, "bb", None) for n, path in enumerate(staged)},
        Removal(tuple(gone)),
    )


def plan(it: Wanted) -> PublishPlan:
    return plan_publish(
        it,
        staging="/x/.htsiteferry/r1",
        order=("assets", "pages", "entry"),
        existing=frozenset(),
        files_in_the_way=frozenset(),
        folders_in_the_way={},
        trash_name_of=map("t{}".format, itertools.count()),
    )


def test_the_old_spelling_goes_before_the_new_one_comes() -> None:
    made = plan(wanted(["Logo.png", "old.css"], ["logo.png"], ["Logo.png", "old.css"]))
    assert [aside.path for aside in made.journal.clear] == ["Logo.png"]
    assert [aside.path for aside in made.journal.remove] == ["old.css"]
    assert set(made.manifest.files) == {"logo.png"}


def test_an_old_spelling_of_a_file_that_stays_is_doubtful_and_may_be_forgotten() -> None:
    it = wanted(["Logo.png", "logo.png", "old.css"], ["x"], ["Logo.png", "old.css"])
    assert it.doubtful == {"Logo.png": "logo.png"}
    made = plan(it.forgetting({"Logo.png"}))
    assert [aside.path for aside in made.journal.remove] == ["old.css"]
    assert made.journal.clear == ()
    assert set(made.manifest.files) == {"logo.png", "x"}


def test_twins_are_found_across_directories_and_unicodes_forms() -> None:
    nfc, nfd = "caf\xe9/a", "cafe\u0301/A"
    assert twins([nfc, "b"], [nfd, "b", "c"]) == {nfc: nfd}
    assert parting("a/Blog/x", "a/blog/X") == ("a", "Blog", "blog")
