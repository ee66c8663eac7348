"""Why a path is published: the answer and its reasons, always what a scan does."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from siteferry.errors import ConfigurationError, PathRefused
from siteferry.tree.rules import EXCLUDE, PROTECT, Rule, Rules
from siteferry.tree.scan import SourceRoot, scan
from siteferry.tree.why import Why, published_path, why


def write(root: Path, *paths: str) -> Path:
    for path in paths:
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.endswith("/"):
            target.mkdir(exist_ok=True)
        else:
            target.write_text(path)
    return root


def ask(path: str, *roots: Path | SourceRoot, rules: Rules | None = None) -> Why:
    sources = [root if isinstance(root, SourceRoot) else SourceRoot(root) for root in roots]
    return why(sources, rules or Rules(), path)


def test_a_published_file_is_told_with_the_file_that_it_comes_from(tmp_path: Path) -> None:
    write(tmp_path, "a/page.html")
    found = ask("a/page.html", tmp_path)
    assert (found.published, found.is_directory) == (True, False)
    assert found.local == (str(tmp_path / "a/page.html"),)
    (source,) = found.sources
    assert (source.exists, source.left_out, source.decision) == (True, False, None)
    assert (found.failures, found.warnings, found.protection) == ((), (), None)


def test_a_file_that_a_rule_leaves_out_is_told_with_the_rule(tmp_path: Path) -> None:
    write(tmp_path, "drafts/x/post.html")
    found = ask("drafts/x/post.html", tmp_path, rules=Rules(["*.map", "drafts/"]))
    assert not found.published
    (source,) = found.sources
    assert source.exists
    assert source.decision == ("drafts", Rule(EXCLUDE, 2, "drafts/"), True)


def test_of_several_sources_the_last_ones_file_is_published(tmp_path: Path) -> None:
    one, two = write(tmp_path / "one", "x", "d/a"), write(tmp_path / "two", "x", "d/b")
    found = ask("x", one, two)
    assert found.local == (str(two / "x"),)
    assert [source.exists for source in found.sources] == [True, True]
    assert found.warnings == (f"x is in several sources: {two / 'x'} is published",)
    directory = ask("d", one, two)
    assert (directory.is_directory, directory.local) == (True, (str(one / "d"), str(two / "d")))


def test_each_sources_own_ignore_file_counts_for_it_alone(tmp_path: Path) -> None:
    one, two = write(tmp_path / "one", "x"), write(tmp_path / "two", "x")
    (two / ".siteferryignore").write_text("x\n")
    found = ask("x", one, two)
    assert found.local == (str(one / "x"),)
    assert [source.left_out for source in found.sources] == [False, True]
    decision = found.sources[1].decision
    assert decision is not None
    assert decision.rule == Rule(str(two / ".siteferryignore"), 1, "x")


def test_a_source_with_its_parent_preserved_has_only_what_lies_below_its_name(
    tmp_path: Path,
) -> None:
    root = write(tmp_path / "blog", "a.html", "blog/b.html")
    source = SourceRoot(root, "blog")
    assert ask("blog/a.html", source).local == (str(root / "a.html"),)
    assert ask("blog/blog/b.html", source).published
    outside = ask("a.html", source)
    assert (outside.published, outside.sources[0].local) == (False, None)
    assert ask("blog", source).local == (str(root),)
    assert ask("", source).published


def test_what_no_source_has_is_told_with_the_rule_that_would_leave_it_out(tmp_path: Path) -> None:
    found = ask("gone/app.map", tmp_path, rules=Rules(["*.map"]))
    assert not found.published
    assert (found.sources[0].exists, found.sources[0].left_out) == (False, True)
    assert not ask("gone", tmp_path, rules=Rules(["gone/"])).sources[0].left_out
    as_directory = why([SourceRoot(tmp_path)], Rules(["gone/"]), "gone", is_directory=True)
    assert as_directory.sources[0].left_out


def test_protection_is_told_beside_the_verdict(tmp_path: Path) -> None:
    write(tmp_path, "uploads/1.jpg")
    found = ask("uploads/1.jpg", tmp_path, rules=Rules(protect=["uploads/"]))
    assert (found.published, found.protected) == (True, True)
    assert found.protection == ("uploads", Rule(PROTECT, 1, "uploads/"), True)


def test_what_a_scan_refuses_or_skips_is_told_with_its_reason(tmp_path: Path) -> None:
    root = write(tmp_path / "site", "a", "a b", "d/x")
    (root / "out").symlink_to(tmp_path)
    os.mkfifo(root / "pipe")
    os.mkfifo(root / "pipe is")
    (root / "d/nowhere").symlink_to("gone")
    out = ask("out/file", root)
    assert not out.published
    assert [(path, type(error)) for path, error in out.failures] == [("out", PathRefused)]
    assert ask("pipe", root).warnings == ("pipe is a FIFO: skipped",)
    assert ask("d/nowhere", root).warnings == (
        "d/nowhere is a symbolic link to nowhere (gone): skipped",
    )
    assert ask("a", root).warnings == ()


def test_a_path_in_a_directory_that_is_a_link_is_published_from_where_it_leads(
    tmp_path: Path,
) -> None:
    write(tmp_path, "real/x")
    (tmp_path / "link").symlink_to("real")
    found = ask("link/x", tmp_path)
    assert found.local == (str(tmp_path / "real/x"),)
    assert found.sources[0].exists


def test_the_verdict_is_that_of_the_scan_for_every_path(tmp_path: Path) -> None:
    one = write(tmp_path / "one", "index.html", "a/b/c.css", "a/b/c.map", "drafts/x", "both", "k/l")
    two = write(tmp_path / "two", "both", "k", "a/z", "empty/", ".htsiteferry/x")
    (one / ".siteferryignore").write_text("/a/b/*\n!c.css\n")
    (one / "loop").symlink_to(".")
    (one / "away").symlink_to("/")
    sources = [SourceRoot(one), SourceRoot(two), SourceRoot(two, "two")]
    rules = Rules(["drafts", "!both"], ["empty/"])
    found = scan(sources, rules)
    published = {file.path for d in found.directories for file in d.files}
    published |= {directory.path for directory in found.directories}
    asked = {""}
    for root, prefix in ((one, ""), (two, ""), (two, "two/")):
        asked |= {f"{prefix}{path.relative_to(root)}" for path in root.rglob("*")}
    assert published <= asked | {"two"}
    verdicts = {path for path in asked | {"two"} if why(sources, rules, path).published}
    assert verdicts == published


def test_what_lies_in_a_directory_that_cannot_be_listed_is_not_published(
    open_folder: Path, as_ordinary_user: Callable[[Callable[[], str]], str]
) -> None:
    """It may be entered, so that each entry could be looked at; a scan does not come to it."""
    write(open_folder, "closed/below/x", "closed/y")
    (open_folder / "closed").chmod(0o311)

    def attempt() -> str:
        asked = [ask(path, open_folder) for path in ("closed", "closed/y", "closed/below/x")]
        assert not any(found.published for found in asked)
        return str({error.message for found in asked for _, error in found.failures})

    assert as_ordinary_user(attempt) == "{'closed cannot be listed: Permission denied'}"


# -- what a text means ---------------------------------------------------------------------------


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[SourceRoot]:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "output/index.html", "output/output/x", "shared/s.css", "other/o")
    return [SourceRoot(tmp_path / "output"), SourceRoot(tmp_path / "shared", "shared")]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("index.html", "index.html"),
        ("/index.html", "index.html"),
        ("not/there/", "not/there"),
        ("a//b/./c", "a/b/c"),
        ("", ""),
        (".", ""),
        ("/", ""),
        ("output/index.html", "index.html"),
        ("output/x", "output/x"),  # a published path is taken for one
        ("./output/output/x", "output/x"),
        ("./output/new.html", "new.html"),
        ("output", "output"),
        ("./output/", ""),
        ("shared/s.css", "shared/s.css"),
        ("./shared/s.css", "shared/s.css"),
        ("other/o", "other/o"),
    ],
)
def test_a_text_is_a_published_path_or_a_local_one_inside_a_source(
    site: list[SourceRoot], text: str, path: str
) -> None:
    assert published_path(site, text) == path


def test_an_absolute_local_path_is_told_by_its_source(
    site: list[SourceRoot], tmp_path: Path
) -> None:
    assert published_path(site, f"{tmp_path}/output/output/x") == "output/x"
    assert published_path(site, f"{tmp_path}/shared/new.css") == "shared/new.css"
    (tmp_path / "elsewhere").symlink_to("output")
    assert published_path(site, f"{tmp_path}/elsewhere/index.html") == "index.html"


@pytest.mark.parametrize("text", ["../x", "..", "a/../../x", "./../x"])
def test_a_path_out_of_the_website_is_an_error(site: list[SourceRoot], text: str) -> None:
    with pytest.raises(ConfigurationError, match="lies in no source"):
        published_path(site, text)
