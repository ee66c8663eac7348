"""What of the sources is published, on real trees."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from siteferry.errors import (
    ConfigurationError,
    PathRefused,
    SourceChanged,
    SourceError,
    SourceUnreadable,
)
from siteferry.tree.rules import Rules
from siteferry.tree.scan import Scan, SourceRoot, list_directory, relist, scan

DEEP = 1500


def write(root: Path, **contents: str) -> None:
    """Files by path; one that ends in a slash is an empty directory."""
    for path, content in contents.items():
        target = root / path
        if path.endswith("/"):
            target.mkdir(parents=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(content)


def look(*roots: Path, rules: Rules | None = None) -> Scan:
    return scan([SourceRoot(root) for root in roots], rules or Rules())


def paths(found: Scan) -> list[str]:
    return [file.path for directory in found.directories for file in directory.files]


def directories(found: Scan) -> list[str]:
    return [directory.path for directory in found.directories]


def the_failure(found: Scan, path: str) -> SourceError:
    errors = [error for failed, error in found.failures if failed == path]
    assert len(errors) == 1, found.failures
    assert errors[0].next_step
    return errors[0]


def test_a_tree_is_found_with_sizes_and_times_parents_before_children(tmp_path: Path) -> None:
    write(tmp_path, **{"index.html": "hello", "a/b/c.css": "", "a-b/x": "1", "a/x": "22"})
    os.utime(tmp_path / "index.html", ns=(0, 1_700_000_000_999_999_999))
    found = look(tmp_path)
    assert directories(found) == ["", "a", "a-b", "a/b"]
    assert paths(found) == ["index.html", "a/x", "a-b/x", "a/b/c.css"]
    index = found.directories[0].files[0]
    assert (index.size, index.mtime) == (5, 1_700_000_000)
    assert index.local == str(tmp_path.resolve() / "index.html")
    assert (found.files, found.bytes) == (4, 8)
    assert (found.failures, found.warnings) == ((), ())


def test_empty_directories_and_empty_files_are_kept(tmp_path: Path) -> None:
    write(tmp_path, **{"empty/": "", "deep/er/": "", "zero": ""})
    found = look(tmp_path)
    assert directories(found) == ["", "deep", "deep/er", "empty"]
    assert paths(found) == ["zero"]


def test_an_empty_source_is_just_the_root(tmp_path: Path) -> None:
    assert directories(look(tmp_path)) == [""]


@pytest.mark.parametrize(
    "name",
    [
        "with  spaces.txt",
        " leading",
        "trailing ",
        'it\'s "quoted"',
        "#100%25?&;$(x)`|<>*",
        "-rf",
        ".hidden",
        "...",
        "back\\slash",
        "tab\there",
        "caf\u00e9",
        "cafe\u0301",
        "\u65e5\u672c\u8a9e-\U0001f600",
    ],
)
def test_unusual_names_are_published_as_they_are(tmp_path: Path, name: str) -> None:
    write(tmp_path, **{f"{name}/{name}": "x"})
    found = look(tmp_path)
    assert paths(found) == [f"{name}/{name}"]
    assert found.failures == ()
    assert relist([SourceRoot(tmp_path)], [name], Rules()).directories == found.directories[1:]


def test_composed_and_decomposed_unicode_are_two_names(tmp_path: Path) -> None:
    write(tmp_path, **{"caf\u00e9": "1", "cafe\u0301": "22"})
    assert paths(look(tmp_path)) == ["cafe\u0301", "caf\u00e9"]


def test_a_name_with_a_line_break_is_refused_on_one_line(tmp_path: Path) -> None:
    write(tmp_path, **{"a\nb": "x", "good": "x", "d\rir/inner": "x"})
    found = look(tmp_path)
    assert paths(found) == ["good"]
    assert directories(found) == [""]
    assert isinstance(the_failure(found, "a\\nb"), PathRefused)
    assert isinstance(the_failure(found, "d\\rir"), PathRefused)


def test_a_name_that_is_no_utf8_is_refused_and_named_by_its_bytes(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.html")).write_text("x")
    found = look(tmp_path)
    assert paths(found) == []
    assert "UTF-8" in the_failure(found, "caf\\xe9.html").message


def test_names_are_utf8_even_where_the_locale_is_not(tmp_path: Path) -> None:
    write(tmp_path, **{"caf\u00e9/\u00fc.html": "x"})
    program = (
        "import sys; from pathlib import Path; from siteferry.tree.rules import Rules\n"
        "from siteferry.tree.scan import SourceRoot, relist, scan\n"
        "sources = [SourceRoot(Path(sys.argv[1]))]; found = scan(sources, Rules())\n"
        "again = relist(sources, ['', 'caf\\u00e9'], Rules())\n"
        "print(sys.getfilesystemencoding(), again == found)\n"
        "print(ascii([f.path for d in found.directories for f in d.files]))"
    )
    environment = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    ran = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        env={**environment, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.stdout, ran.stderr) == ("ascii True\n['caf\\xe9/\\xfc.html']\n", "")


@pytest.fixture
def deep_path(tmp_path: Path) -> Iterator[str]:
    """Made and removed step by step: the standard library itself recurses here."""
    steps = ["/".join("d" * n) for n in range(1, DEEP)]
    for step in steps:
        os.mkdir(f"{tmp_path}/{step}")  # noqa: PTH102  # a Path of that depth is slow
    yield steps[-1]
    for step in reversed(steps):
        os.rmdir(f"{tmp_path}/{step}")  # noqa: PTH106  # as above


def test_a_very_deep_tree_is_no_recursion(tmp_path: Path, deep_path: str) -> None:
    assert sys.getrecursionlimit() < DEEP
    found = look(tmp_path)
    assert found.directories[-1].path == deep_path
    assert len(found.directories) == len(deep_path.split("/")) + 1
    assert found.failures == ()
    assert directories(relist([SourceRoot(tmp_path)], [deep_path], Rules())) == [deep_path]


def test_excluded_directories_are_not_even_looked_into(tmp_path: Path) -> None:
    write(tmp_path, **{".git/config": "x", "a/b.map": "x", "a/b.js": "x", "keep/": ""})
    (tmp_path / ".git" / "nowhere").symlink_to("missing")
    found = look(tmp_path, rules=Rules([".git/", "*.map"]))
    assert directories(found) == ["", "a", "keep"]
    assert paths(found) == ["a/b.js"]
    assert found.warnings == ()


def test_what_is_excluded_is_not_complained_about(tmp_path: Path) -> None:
    write(tmp_path, **{"a\nb.tmp": "x"})
    (tmp_path / "dead.tmp").symlink_to("missing")
    (tmp_path / "out.tmp").symlink_to("/etc")
    os.mkfifo(tmp_path / "pipe.tmp")
    found = look(tmp_path, rules=Rules(["*.tmp"]))
    assert (paths(found), found.failures, found.warnings) == ([], (), ())


def test_a_link_to_a_directory_is_excluded_by_a_pattern_for_directories(tmp_path: Path) -> None:
    write(tmp_path, **{"real/x": "x"})
    (tmp_path / "link").symlink_to("real")
    assert directories(look(tmp_path, rules=Rules(["link/"]))) == ["", "real"]


def test_the_ignore_file_counts_and_is_not_published(tmp_path: Path) -> None:
    write(tmp_path, **{".siteferryignore": "*.psd\n", "a.psd": "x", "a.png": "x"})
    found = look(tmp_path)
    assert paths(found) == ["a.png"]
    assert found.warnings == ()


def test_an_ignore_file_below_the_root_is_said_to_have_no_effect(tmp_path: Path) -> None:
    write(tmp_path, **{"d/.siteferryignore": "*.psd\n", "d/a.psd": "x"})
    found = look(tmp_path)
    assert paths(found) == ["d/a.psd"]
    assert found.warnings == (
        "d/.siteferryignore has no effect: only the one at the source root is read",
    )


def test_siteferrys_own_directory_is_never_published(tmp_path: Path) -> None:
    write(tmp_path, **{".htsiteferry/r/x": "x", "nested/.htsiteferry/y": "x", "index.html": ""})
    found = look(tmp_path)
    assert directories(found) == ["", "nested"]
    assert paths(found) == ["index.html"]


def test_a_link_to_a_file_inside_is_published_with_that_files_content(tmp_path: Path) -> None:
    write(tmp_path, **{"real/file.txt": "content", "d/": ""})
    (tmp_path / "d" / "link.txt").symlink_to("../real/file.txt")
    (tmp_path / "twice").symlink_to("d/link.txt")
    found = look(tmp_path)
    local = {f.path: (f.local, f.size) for d in found.directories for f in d.files}
    assert local["d/link.txt"] == local["twice"] == local["real/file.txt"]
    assert (found.failures, found.warnings) == ((), ())


def test_a_link_to_a_directory_inside_is_followed(tmp_path: Path) -> None:
    write(tmp_path, **{"releases/5/index.html": "x", "releases/5/sub/y": "y"})
    (tmp_path / "current").symlink_to("releases/5")
    found = look(tmp_path, rules=Rules(["releases/"]))
    assert paths(found) == ["current/index.html", "current/sub/y"]
    again = relist([SourceRoot(tmp_path)], ["current/sub", "current"], Rules(["releases/"]))
    assert again.directories == found.directories[1:]


@pytest.mark.parametrize("target", [".", "..", "../..", "../../a/b"])
def test_a_link_to_a_directory_that_it_lies_in_is_skipped_with_a_warning(
    tmp_path: Path, target: str
) -> None:
    write(tmp_path, **{"a/b/x": "x"})
    (tmp_path / "a" / "b" / "loop").symlink_to(target)
    found = look(tmp_path)
    assert directories(found) == ["", "a", "a/b"]
    assert found.warnings == ("a/b/loop is a link to a directory that it lies in: skipped",)
    assert found.failures == ()


def test_links_from_one_directory_to_the_other_and_back_end(tmp_path: Path) -> None:
    write(tmp_path, **{"a/1": "x", "b/2": "x"})
    (tmp_path / "a" / "to-b").symlink_to("../b")
    (tmp_path / "b" / "to-a").symlink_to("../a")
    found = look(tmp_path)
    assert directories(found) == ["", "a", "a/to-b", "b", "b/to-a"]
    assert [w.split()[0] for w in found.warnings] == ["a/to-b/to-a", "b/to-a/to-b"]


def test_a_link_above_a_directory_reached_by_link_ends_where_it_comes_round(
    tmp_path: Path,
) -> None:
    write(tmp_path, **{"b/c/x": "x", "a/": ""})
    (tmp_path / "a" / "link").symlink_to("../b/c")
    (tmp_path / "b" / "c" / "up").symlink_to("..")
    found = look(tmp_path)
    assert directories(found) == ["", "a", "a/link", "a/link/up", "b", "b/c"]
    assert [w.split()[0] for w in found.warnings] == ["a/link/up/c", "b/c/up"]


def test_a_link_to_itself_is_skipped_with_a_warning(tmp_path: Path) -> None:
    (tmp_path / "self").symlink_to("self")
    found = look(tmp_path)
    assert found.warnings == ("self is a symbolic link that leads back to itself: skipped",)
    assert found.failures == ()


def test_a_dangling_link_is_skipped_with_a_warning(tmp_path: Path) -> None:
    write(tmp_path, file="x")
    (tmp_path / ".htaccess").symlink_to("/nowhere/htaccess")
    (tmp_path / "through-a-file").symlink_to("file/x")
    found = look(tmp_path)
    assert paths(found) == ["file"]
    assert found.failures == ()
    assert found.warnings == (
        ".htaccess is a symbolic link to nowhere (/nowhere/htaccess): skipped",
        "through-a-file is a symbolic link to nowhere (file/x): skipped",
    )


@pytest.mark.parametrize("target", ["../outside/secret", "../outside", "../source-2/x", "/"])
def test_a_link_that_leads_out_is_refused(tmp_path: Path, target: str) -> None:
    write(tmp_path, **{"outside/secret": "x", "source/index.html": "", "source-2/x": ""})
    (tmp_path / "source" / "link").symlink_to(target)
    found = look(tmp_path / "source")
    assert paths(found) == ["index.html"]
    refused = the_failure(found, "link")
    assert isinstance(refused, PathRefused)
    assert "leads out of the source" in refused.message


def test_a_link_out_and_back_in_is_inside(tmp_path: Path) -> None:
    write(tmp_path, **{"source/real": "x"})
    (tmp_path / "way-back").symlink_to("source/real")
    (tmp_path / "source" / "link").symlink_to("../way-back")
    assert paths(look(tmp_path / "source")) == ["link", "real"]


def test_a_link_into_another_source_of_the_website_is_published(tmp_path: Path) -> None:
    write(tmp_path, **{"one/": "", "two/shared": "x"})
    (tmp_path / "one" / "link").symlink_to("../two/shared")
    found = look(tmp_path / "one", tmp_path / "two")
    assert paths(found) == ["link", "shared"]
    assert found.failures == ()


def test_a_source_may_itself_be_a_link(tmp_path: Path) -> None:
    write(tmp_path, **{"releases/7/index.html": "x"})
    (tmp_path / "output").symlink_to("releases/7")
    (tmp_path / "releases" / "7" / "alias").symlink_to("index.html")
    found = look(tmp_path / "output")
    assert paths(found) == ["alias", "index.html"]


def test_what_is_neither_file_nor_directory_is_skipped_with_a_warning(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "to-pipe").symlink_to("pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "sock"))
        found = look(tmp_path)
    assert (paths(found), found.failures) == ([], ())
    assert found.warnings == (
        "pipe is a FIFO: skipped",
        "sock is a socket: skipped",
        "to-pipe is a FIFO: skipped",
    )


def test_a_directory_that_cannot_be_listed_is_a_failure_and_not_an_empty_directory(
    open_folder: Path, as_ordinary_user: Callable[[Callable[[], str]], str]
) -> None:
    write(open_folder, **{"closed/x": "x", "open/x": "x"})
    (open_folder / "closed").chmod(0o311)

    def attempt() -> str:
        found = look(open_folder)
        error = the_failure(found, "closed")
        assert isinstance(error, SourceUnreadable)
        assert isinstance(error.__cause__, PermissionError)
        covered = [path for path in ("closed", "closed/x", "open/y", "") if found.covers(path)]
        return f"{directories(found)} {covered} {error.message}"

    assert as_ordinary_user(attempt) == (
        "['', 'open'] ['open/y', ''] closed cannot be listed: Permission denied"
    )


def test_a_directory_that_cannot_be_searched_fails_for_each_entry(
    open_folder: Path, as_ordinary_user: Callable[[Callable[[], str]], str]
) -> None:
    write(open_folder, **{"closed/x": "x"})
    (open_folder / "closed").chmod(0o644)
    (open_folder / "link").symlink_to("closed/x")

    def attempt() -> str:
        return str([f"{path}: {error.message}" for path, error in look(open_folder).failures])

    assert as_ordinary_user(attempt) == str(
        [
            "closed/x: closed/x cannot be looked at: Permission denied",
            "link: link cannot be followed: Permission denied",
        ]
    )


def test_an_unreadable_root_is_a_failure_of_everything(
    open_folder: Path, as_ordinary_user: Callable[[Callable[[], str]], str]
) -> None:
    (open_folder / "site").mkdir()
    (open_folder / "site").chmod(0o311)

    def attempt() -> str:
        found = look(open_folder / "site")
        return f"{directories(found)} {found.covers('x/y')} {the_failure(found, '').message}"

    expected = "[''] False the source directory cannot be listed: Permission denied"
    assert as_ordinary_user(attempt) == expected


def test_an_unreadable_file_is_found_all_the_same(
    open_folder: Path, as_ordinary_user: Callable[[Callable[[], str]], str]
) -> None:
    write(open_folder, secret="x")
    (open_folder / "secret").chmod(0)
    assert as_ordinary_user(lambda: str(paths(look(open_folder)))) == "['secret']"


def test_several_sources_merge(tmp_path: Path) -> None:
    write(tmp_path, **{"one/a/1": "x", "one/only/y": "", "two/a/2": "x", "two/z/": ""})
    found = look(tmp_path / "one", tmp_path / "two")
    assert directories(found) == ["", "a", "only", "z"]
    assert paths(found) == ["a/1", "a/2", "only/y"]
    assert found.warnings == ()


def test_the_same_file_in_two_sources_is_the_later_ones_with_a_warning(tmp_path: Path) -> None:
    write(tmp_path, **{"one/a/x": "1", "two/a/x": "22"})
    found = look(tmp_path / "one", tmp_path / "two")
    assert [f.size for f in found.directories[1].files] == [2]
    later = (tmp_path / "two").resolve() / "a" / "x"
    assert found.warnings == (f"a/x is in several sources: {later} is published",)


@pytest.mark.parametrize("order", [("one", "two"), ("two", "one")])
def test_a_file_in_one_source_and_a_directory_in_another_are_refused(
    tmp_path: Path, order: tuple[str, str]
) -> None:
    write(tmp_path, **{"one/x": "file", "two/x/inner": "", "two/y": ""})
    sources = [SourceRoot(tmp_path / name) for name in order]
    found = scan(sources, Rules())
    assert (directories(found), paths(found)) == ([""], ["y"])
    assert isinstance(the_failure(found, "x"), PathRefused)
    again = relist(sources, ["x"], Rules())
    assert again.directories == ()
    assert "is a file in one source" in again.failures[0][1].message


def test_a_source_with_a_prefix_is_published_below_that_name(tmp_path: Path) -> None:
    write(tmp_path, **{"docs/guide/a": "x", "site/index.html": "x", "site/docs/b": "x"})
    write(tmp_path, **{"docs/.siteferryignore": "/guide/draft\n", "docs/guide/draft": "x"})
    sources = [SourceRoot(tmp_path / "site"), SourceRoot(tmp_path / "docs", "docs")]
    found = scan(sources, Rules())
    assert directories(found) == ["", "docs", "docs/guide"]
    assert paths(found) == ["index.html", "docs/b", "docs/guide/a"]
    assert relist(sources, directories(found), Rules()) == found


def test_with_nothing_but_prefixed_sources_the_root_is_still_there(tmp_path: Path) -> None:
    write(tmp_path, **{"docs/a": "x", "blog/b": "x"})
    sources = [SourceRoot(tmp_path / "docs", "docs"), SourceRoot(tmp_path / "blog", "blog")]
    found = scan(sources, Rules(["blog/"]))
    assert directories(found) == ["", "docs"]
    assert list_directory(sources, "", Rules()).subdirectories == ("blog", "docs")


def test_a_prefix_that_no_path_can_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PathRefused):
        scan([SourceRoot(tmp_path, "..")], Rules())
    with pytest.raises(ConfigurationError):
        scan([SourceRoot(tmp_path, "a/b")], Rules())


def test_a_missing_source_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as missing:
        look(tmp_path, tmp_path / "gone")
    assert str(tmp_path / "gone") in missing.value.message
    assert "No such file or directory" in missing.value.message
    assert missing.value.next_step


def test_a_source_that_is_a_file_or_a_loop_of_links_is_named(tmp_path: Path) -> None:
    write(tmp_path, file="x")
    (tmp_path / "loop").symlink_to("loop")
    for name in ("file", "loop"):
        with pytest.raises(ConfigurationError, match=name):
            look(tmp_path / name)


def test_a_website_without_sources_is_not_an_empty_website() -> None:
    with pytest.raises(ConfigurationError, match="no source"):
        scan([], Rules())


def test_one_directory_alone_shows_what_the_scan_goes_on_to(tmp_path: Path) -> None:
    write(tmp_path, **{"a/x": "x", "a/b/": "", "a/.git/": "", "a/c/y": "", "z/": ""})
    (tmp_path / "a" / "dead").symlink_to("missing")
    (tmp_path / "a" / "out").symlink_to("/etc")
    listing = list_directory([SourceRoot(tmp_path)], "a", Rules([".git"]))
    assert listing.directory
    assert [file.path for file in listing.directory.files] == ["a/x"]
    assert listing.subdirectories == ("a/b", "a/c")
    assert [path for path, _ in listing.failures] == ["a/out"]
    assert len(listing.warnings) == 1


def test_looking_again_at_every_directory_gives_the_very_same_scan(tmp_path: Path) -> None:
    write(
        tmp_path, **{"one/a/x": "x", "one/a/b/y": "", "two/a/x": "zz", "two/a/\n": "", "one/e/": ""}
    )
    (tmp_path / "one" / "link").symlink_to("a")
    (tmp_path / "one" / "a" / "loop").symlink_to(".")
    (tmp_path / "two" / "dead").symlink_to("missing")
    (tmp_path / "two" / "out").symlink_to("/etc")
    os.mkfifo(tmp_path / "two" / "pipe")
    sources = [SourceRoot(tmp_path / "one"), SourceRoot(tmp_path / "two")]
    found = scan(sources, Rules(["b/"]))
    assert "link" in directories(found)
    again = relist(sources, directories(found)[::-1], Rules(["b/"]))
    assert (again.directories, again.warnings) == (found.directories, found.warnings)
    assert [(p, str(e)) for p, e in again.failures] == [(p, str(e)) for p, e in found.failures]


def test_a_directory_that_is_gone_at_the_second_look_is_a_failure(tmp_path: Path) -> None:
    write(tmp_path, **{"was/": "", "file": "", "stays/x": ""})
    (tmp_path / "was").rmdir()
    found = relist([SourceRoot(tmp_path)], ["was", "was/deeper", "file", "stays"], Rules())
    assert directories(found) == ["stays"]
    assert [path for path, _ in found.failures] == ["file", "was", "was/deeper"]
    assert all(isinstance(error, SourceChanged) for _, error in found.failures)
    assert not found.covers("was/x")


def test_a_second_look_does_not_go_through_a_link_that_now_leads_out(tmp_path: Path) -> None:
    write(tmp_path, **{"source/d/": "", "outside/secret": "x"})
    (tmp_path / "source" / "d").rmdir()
    (tmp_path / "source" / "d").symlink_to("../outside")
    found = relist([SourceRoot(tmp_path / "source")], ["d"], Rules())
    assert found.directories == ()
    assert "leads out of the source" in found.failures[0][1].message
