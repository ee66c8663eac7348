"""Where a published path lies in the workspace, and that none leads out of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siteferry.errors import PathRefused
from siteferry.ftp.download import local_path


@pytest.mark.parametrize("relative", ["a", "a/b/c", ".well-known/x", "..a/b", "ä 日本", "a\\b"])
def test_a_published_path_lies_below_the_root(tmp_path: Path, relative: str) -> None:
    assert local_path(tmp_path, relative) == tmp_path / relative


@pytest.mark.parametrize(
    "relative",
    ["/etc/passwd", "..", "../x", "a/../../x", "a/..", "./a", "a//b", "a/", "a\0b", "a\nb", "//x"],
)
def test_a_path_that_leads_elsewhere_is_refused(tmp_path: Path, relative: str) -> None:
    with pytest.raises(PathRefused):
        local_path(tmp_path, relative)


def test_a_link_that_leads_out_of_the_root_is_refused_at_every_depth(tmp_path: Path) -> None:
    (tmp_path / "outside" / "deep").mkdir(parents=True)
    root = tmp_path / "site"
    (root / "a").mkdir(parents=True)
    (root / "out").symlink_to(tmp_path / "outside")
    (root / "a" / "up").symlink_to("../..")
    (root / "a" / "beside").symlink_to(f"{root}-other")
    for relative in ("out/x", "out/deep/x", "a/up/outside/x", "a/beside/x", "out/missing/x"):
        with pytest.raises(PathRefused, match="leads out"):
            local_path(root, relative)


def test_a_link_in_the_last_place_is_replaced_and_one_inside_is_followed(tmp_path: Path) -> None:
    root = tmp_path / "site"
    (root / "real").mkdir(parents=True)
    (root / "inside").symlink_to("real")
    (root / "last").symlink_to("/etc/passwd")
    assert local_path(root, "last") == root / "last"
    assert local_path(root, "inside/x") == root / "inside" / "x"


def test_a_root_that_is_itself_reached_through_a_link_is_one(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert local_path(tmp_path / "link", "a/b") == tmp_path / "link" / "a" / "b"
    assert local_path(Path("/"), "a") == Path("/a")
    assert local_path(tmp_path, "") == tmp_path


@given(st.text(alphabet="./ab\\\0\n", max_size=12))
def test_whatever_is_accepted_stays_below(relative: str) -> None:
    root = Path("/workspace/site")
    try:
        path = local_path(root, relative)
    except PathRefused:
        return
    assert ".." not in path.parts
    assert path == root or root in path.parents
