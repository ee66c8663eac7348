"""gitignore rules over published paths. The expectations are what git itself says."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from siteferry.errors import ConfigurationError
from siteferry.tree.rules import EXCLUDE, OWN_NAMES, PROTECT, Rule, Rules


@pytest.mark.parametrize(
    ("lines", "excluded", "included"),
    [
        (["*.map"], ["a.map", "x/y/b.map"], ["a.mapx", "map"]),
        (["/a"], ["a", "a/b"], ["x/a"]),
        (["a/b"], ["a/b", "a/b/c"], ["x/a/b"]),
        (["**/foo"], ["foo", "x/foo/y"], ["foo2"]),
        (["a/**/b"], ["a/b", "a/x/y/b"], ["a/x", "b"]),
        (["a/*"], ["a/x", "a/x/y"], ["b/x"]),
        (["a/**"], ["a/x", "a/x/y"], ["b/a/x"]),
        (["*", "!*.html"], ["x.css", "d/x.html"], ["x.html"]),
        (["*", "!*/", "!*.html"], ["x.css", "d/x.css"], ["x.html", "d/e/x.html"]),
        (["foo", "!foo/keep"], ["foo/keep"], []),
        (["foo/*", "!foo/keep"], ["foo/other"], ["foo/keep"]),
        ([".env", "!config/"], ["config/.env"], ["config/x"]),
        ([r"\#c", r"\!d"], ["#c", "x/!d"], ["c", "d"]),
        (["# comment", "", "   "], [], ["# comment", "x"]),
        (["x  "], ["x"], []),
        (["x\\ "], ["x "], ["x"]),
        (["a b", "[xy].txt", "?.js"], ["a b", "x.txt", "d/y.txt", "q.js"], ["z.txt", "qq.js"]),
        (["caf\u00e9"], ["caf\u00e9"], ["cafe\u0301"]),
    ],
)
def test_patterns_mean_what_they_mean_to_git(
    lines: list[str], excluded: list[str], included: list[str]
) -> None:
    rules = Rules(lines)
    assert [p for p in excluded if not rules.is_excluded(p, is_directory=False)] == []
    assert [p for p in included if rules.is_excluded(p, is_directory=False)] == []


def test_a_pattern_that_ends_in_a_slash_means_directories_only() -> None:
    rules = Rules(["cache/"])
    assert rules.is_excluded("x/cache", is_directory=True)
    assert not rules.is_excluded("x/cache", is_directory=False)
    assert rules.is_excluded("x/cache/file", is_directory=False)


def test_everything_below_a_directory_does_not_mean_the_directory() -> None:
    rules = Rules(["a/**"])
    assert not rules.is_excluded("a", is_directory=True)
    assert rules.is_excluded("a/b", is_directory=True)


def test_nothing_excludes_the_root() -> None:
    assert not Rules(["*", "/", "**"]).is_excluded("", is_directory=True)


def test_verdicts_do_not_depend_on_what_was_asked_before() -> None:
    rules = Rules(["a/*", "!a/b", "x/"])
    asked = [("a/b/c", False), ("a", True), ("a/d", True), ("x/y/z", False), ("a/b", True)]
    first = [rules.is_excluded(*question) for question in asked]
    assert first == [False, False, True, True, False]
    assert [rules.is_excluded(*question) for question in reversed(asked)] == first[::-1]


@pytest.mark.parametrize(
    "path", [".htsiteferry", ".htsiteferry/r/x", "a/.htsiteferry", ".HTSITEFERRY"]
)
def test_siteferrys_own_directory_is_excluded_whatever_the_rules_say(path: str) -> None:
    assert Rules(["!.htsiteferry", "!.htsiteferry/**"]).is_excluded(path, is_directory=True)


def test_the_ignore_file_itself_is_excluded() -> None:
    assert Rules(["!.siteferryignore"]).is_excluded(".siteferryignore", is_directory=False)


def test_what_is_protected_is_not_thereby_excluded() -> None:
    rules = Rules(protect=[".well-known/", "wp-content/uploads/", "!wp-content/uploads/ours/"])
    assert rules.is_protected("wp-content/uploads", is_directory=True)
    assert rules.is_protected("wp-content/uploads/ours/a.png")
    assert not rules.is_protected("wp-content/themes/a.png")
    assert not rules.is_excluded(".well-known/x", is_directory=False)


def test_the_ignore_file_adds_rules_relative_to_where_its_source_is_published(
    tmp_path: Path,
) -> None:
    (tmp_path / ".siteferryignore").write_bytes(b"\xef\xbb\xbf/drafts\r\n*.psd\r\nspace\\ \r\n")
    rules = Rules(["*.map"], ["keep"]).in_source(tmp_path, "blog")
    assert rules.is_excluded("blog/drafts", is_directory=True)
    assert rules.is_excluded("blog/x/a.psd", is_directory=False)
    assert rules.is_excluded("blog/space ", is_directory=False)
    assert rules.is_excluded("blog/a.map", is_directory=False)
    assert not rules.is_excluded("drafts", is_directory=True)
    assert not rules.is_excluded("blog", is_directory=True)
    assert rules.is_protected("keep")


def test_the_ignore_file_cannot_publish_what_the_operator_has_left_out(tmp_path: Path) -> None:
    (tmp_path / ".siteferryignore").write_text("!.env\n*.log\n")
    rules = Rules([".env", "!important.log"]).in_source(tmp_path)
    assert rules.is_excluded(".env", is_directory=False)
    assert rules.is_excluded("x.log", is_directory=False)
    assert not rules.is_excluded("important.log", is_directory=False)


def test_without_an_ignore_file_the_rules_stay_the_same(tmp_path: Path) -> None:
    rules = Rules(["*.map"])
    assert rules.in_source(tmp_path) is rules


@pytest.mark.parametrize("line", ["!", "a\\", "[z-a]", "[[:alpha:]]x"])
def test_a_line_that_is_no_pattern_is_named_with_its_number(line: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Rules(["fine", line])
    assert "exclude, line 2" in refused.value.message
    assert repr(line) in refused.value.message
    assert refused.value.next_step


def test_an_ignore_file_that_is_no_text_stops_the_run(tmp_path: Path) -> None:
    (tmp_path / ".siteferryignore").write_bytes(b"caf\xe9\n")
    with pytest.raises(ConfigurationError, match="is not UTF-8 text"):
        Rules().in_source(tmp_path)


def test_an_ignore_file_that_is_a_dangling_link_stops_the_run(tmp_path: Path) -> None:
    (tmp_path / ".siteferryignore").symlink_to("nowhere")
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        Rules().in_source(tmp_path)


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_an_ignore_file_that_is_no_file_stops_the_run(tmp_path: Path, make) -> None:
    make(tmp_path / ".siteferryignore")
    with pytest.raises(ConfigurationError, match="is not a file"):
        Rules().in_source(tmp_path)


# -- which rule decides ------------------------------------------------------------------------

LINES = [
    "*.map",
    "# comment",
    "",
    "drafts/",
    "!keep.map",
    "/a/*",
    "!a/b",
    "**/tmp",
    "x\\ ",
    "*.log",
]
ASKED = [
    "page.html", "app.map", "keep.map", "d/keep.map", "drafts/x/y.html", "x/drafts/keep.map",
    "a/c", "a/b/c", "a/b/q.map", "a/d/keep.map", "tmp", "x/tmp/y", "x ", "keep.log", "d/e.log",
]  # fmt: skip


def test_the_deciding_line_is_the_one_that_git_names(tmp_path: Path) -> None:
    git = shutil.which("git")
    if git is None:
        pytest.skip("git is not installed")
    subprocess.run([git, "init", "-q", tmp_path], check=True)
    (tmp_path / ".gitignore").write_text("\n".join(LINES))
    asked = subprocess.run(
        [git, "check-ignore", "--verbose", "--non-matching", "--no-index", "-z", "--stdin"],
        cwd=tmp_path, input="\0".join(ASKED), capture_output=True, text=True, check=True,
    ).stdout.split("\0")  # fmt: skip
    # Four fields a path: file, line, pattern, path; the first three empty where nothing matches.
    said = {asked[n + 3]: (asked[n + 1], asked[n + 2]) for n in range(0, len(asked) - 1, 4)}
    rules = Rules(LINES)
    ours = {}
    for path in ASKED:
        decision = rules.exclusion(path, is_directory=False)
        ours[path] = (str(decision.rule.line), decision.rule.text) if decision else ("", "")
    assert ours == said


@pytest.mark.parametrize("is_directory", [False, True])
def test_the_deciding_rule_agrees_with_the_verdict(tmp_path: Path, is_directory: bool) -> None:
    (tmp_path / ".siteferryignore").write_text("\n".join(LINES[::-1]))
    rules = Rules(["/a/", "!a/d", "*.html"], ["tmp/", "!x/tmp"]).in_source(tmp_path, "x")
    for path in [*ASKED, "x/a/b", "x/keep.map", "", ".htsiteferry/x", "x/.siteferryignore"]:
        left_out = rules.exclusion(path, is_directory)
        protected = rules.protection(path, is_directory)
        assert rules.is_excluded(path, is_directory) == (left_out is not None and left_out.matches)
        assert rules.is_protected(path, is_directory) == (
            protected is not None and protected.matches
        )


def test_the_deciding_rule_names_its_file_and_the_directory_that_it_matches(tmp_path: Path) -> None:
    ignore = tmp_path / ".siteferryignore"
    ignore.write_text("# what is not ready\ndrafts\n!b.map\n")
    rules = Rules(["*.map"], ["uploads/"]).in_source(tmp_path, "blog")
    assert rules.exclusion("blog/drafts/a.html", is_directory=False) == (
        "blog/drafts", Rule(str(ignore), 2, "drafts"), True,
    )  # fmt: skip
    assert rules.exclusion("blog/b.map", is_directory=False) == (
        "blog/b.map", Rule(EXCLUDE, 1, "*.map"), True,
    )  # fmt: skip
    assert rules.exclusion("blog/index.html", is_directory=False) is None
    assert rules.protection("uploads/1.jpg") == ("uploads", Rule(PROTECT, 1, "uploads/"), True)
    own = rules.exclusion("a/.htsiteferry/x", is_directory=False)
    assert own == ("a/.htsiteferry", Rule(OWN_NAMES, 0, ".htsiteferry"), True)
