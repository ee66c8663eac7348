"""Published paths: what is refused, and the arithmetic with them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siteferry.errors import ConfigurationError, PathRefused
from siteferry.tree.paths import check_path, is_own_name, join, parents, remote, shown, split

any_text = st.text(st.characters(exclude_categories=()))
names = st.text(
    st.characters(exclude_categories=("Cs",), exclude_characters="/\r\n\0"), min_size=1
).filter(lambda name: name not in (".", "..") and not is_own_name(name))
paths = st.lists(names, max_size=5).map("/".join)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "index.html",
        "a b/c  d.txt",
        "trailing space ",
        "-rf",
        ".htaccess",
        "...",
        "..a/b..",
        'it\'s "quoted"/100%#1?.html',
        "tab\there",
        "back\\slash",
        "caf\u00e9/cafe\u0301",
        "\U0001f600",
        ".htsiteferry.txt",
    ],
)
def test_a_name_that_ftp_can_carry_is_accepted(path: str) -> None:
    check_path(path)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("a\nDELE b", "line break"),
        ("a\rb", "line break"),
        ("a\0b", "NUL"),
        ("/etc/passwd", "absolute"),
        ("/", "absolute"),
        ("a//b", "segment ''"),
        ("a/", "segment ''"),
        (".", "segment '.'"),
        ("a/./b", "segment '.'"),
        ("..", "segment '..'"),
        ("a/../../b", "segment '..'"),
        ("caf\udce9.html", "UTF-8"),
        ("\ud800", "UTF-8"),
        (".htsiteferry", "own name"),
        (".htsiteferry/x/y", "own name"),
        (".HTSiteFerry/x", "own name"),
        ("nested-site/.htsiteferry", "own name"),
    ],
)
def test_a_path_that_ftp_cannot_carry_or_that_leads_elsewhere_is_refused(
    path: str, reason: str
) -> None:
    with pytest.raises(PathRefused) as refused:
        check_path(path)
    assert reason in refused.value.message
    assert refused.value.next_step
    assert "\n" not in str(refused.value)


@settings(deadline=None)  # a loaded machine is no failure
@given(any_text)
def test_whatever_passes_is_one_line_of_utf8_below_the_root(path: str) -> None:
    try:
        check_path(path)
    except PathRefused as refused:
        str(refused).encode()
    else:
        line = remote("/site", path).encode()
        assert not {b"\r", b"\n", b"\0"} & {line[i : i + 1] for i in range(len(line))}
        assert not {".", "..", ""} & set(path.split("/")) or path == ""


@settings(deadline=None)  # a loaded machine is no failure
@given(paths)
def test_every_path_of_good_names_passes(path: str) -> None:
    check_path(path)


@settings(deadline=None)  # a loaded machine is no failure
@given(paths, names)
def test_split_undoes_join(directory: str, name: str) -> None:
    assert split(join(directory, name)) == (directory, name)


@settings(deadline=None)  # a loaded machine is no failure
@given(st.lists(names, min_size=1, max_size=6))
def test_parents_are_all_directories_above_outermost_first_without_the_root(
    segments: list[str],
) -> None:
    expected = ["/".join(segments[:n]) for n in range(1, len(segments))]
    assert list(parents("/".join(segments))) == expected


def test_the_root_has_no_parents() -> None:
    assert parents("") == ()


def test_joining_with_the_root_changes_nothing() -> None:
    assert join("", "a/b") == "a/b"
    assert join("a/b", "") == "a/b"
    assert join("", "") == ""


@pytest.mark.parametrize(
    ("remote_dir", "path", "expected"),
    [
        ("/", "", "/"),
        ("/", "a/b", "/a/b"),
        ("/public_html", "", "/public_html"),
        ("/public_html", "a", "/public_html/a"),
        ("/public_html/", "a", "/public_html/a"),
        ("/public_html/", "", "/public_html"),
    ],
)
def test_remote_paths_are_absolute(remote_dir: str, path: str, expected: str) -> None:
    assert remote(remote_dir, path) == expected


def test_a_relative_remote_directory_is_refused_with_the_right_spelling() -> None:
    with pytest.raises(ConfigurationError) as refused:
        remote("public_html", "a")
    assert "'/public_html'" in refused.value.next_step


def test_a_shown_path_tells_the_bytes_and_control_characters() -> None:
    assert shown("caf\udce9\n\x1b[31m/\u00e9 x") == "caf\\xe9\\n\\x1b[31m/\u00e9 x"


@settings(deadline=None)  # a loaded machine is no failure
@given(any_text)
def test_a_shown_path_is_printable_and_encodable(path: str) -> None:
    text = shown(path)
    assert text.isprintable()
    text.encode()
