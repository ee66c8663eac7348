"""Websites that write to one place, or one into the other."""

from __future__ import annotations

from typing import Any

from siteferry.settings import Settings
from siteferry.tree.paths import OWN_NAME
from siteferry.websites import Website, website_from_mapping
from siteferry.websites.overlap import (
    DEFAULT_STAGING_NAME,
    Overlap,
    find_overlaps,
    nested_below,
)


def site(name: str, remote_dir: str, **ftp: Any) -> Website:
    target = {"host": "h.example", "username": "u", "remote_dir": remote_dir} | ftp
    return website_from_mapping({"website": {"name": name}, "ftp": target}, name, Settings(), {})


def told(*websites: Website) -> list[tuple[str, str, str, str, str]]:
    return [
        (o.outer, o.outer_place, o.inner, o.inner_place, o.below) for o in find_overlaps(websites)
    ]


def test_equal_directories_are_one_target_however_they_are_written() -> None:
    (found,) = find_overlaps([site("a", "/www/"), site("b", "www")])
    assert found == Overlap("a", "remote_dir", "b", "remote_dir", "")
    assert found.equal


def test_a_directory_in_the_other_is_nested_in_whatever_order_they_come() -> None:
    outer, inner = site("outer", "/www"), site("inner", "/www/blog/en")
    expected = [("outer", "remote_dir", "inner", "remote_dir", "blog/en")]
    assert told(outer, inner) == expected
    assert told(inner, outer) == expected
    assert not find_overlaps([outer, inner])[0].equal


def test_everything_lies_in_the_root() -> None:
    assert told(site("a", "/x"), site("root", "/")) == [
        ("root", "remote_dir", "a", "remote_dir", "x")
    ]


def test_directories_whose_names_begin_alike_are_apart() -> None:
    assert told(site("a", "/www"), site("b", "/www2"), site("c", "/www-old/x")) == []


def test_another_host_port_or_user_is_another_place() -> None:
    websites = [
        site("a", "/www"),
        site("b", "/www", host="other.example"),
        site("c", "/www", port=2121),
        site("d", "/www", username="v"),
    ]
    assert told(*websites) == []
    assert nested_below(site("root", "/", username="w"), websites) == frozenset()


def test_users_given_by_references_are_compared_by_the_reference() -> None:
    shared = "${credential:shared/FTP_USERNAME}"
    own = "${credential:b/FTP_USERNAME}"
    assert len(told(site("a", "/w", username=shared), site("b", "/w", username=shared))) == 1
    assert told(site("a", "/w", username=shared), site("b", "/w", username=own)) == []
    assert told(site("a", "/w", username=None), site("b", "/w", username=None)) == []


def test_a_staging_directory_in_another_website_is_found() -> None:
    a, b = site("a", "/www"), site("b", "/shop", staging_dir="/www/tmp/b")
    assert told(a, b) == [("a", "remote_dir", "b", "staging_dir", "tmp/b")]
    assert told(b, a) == told(a, b)
    assert nested_below(a, [a, b]) == {"tmp/b"}


def test_a_staging_directory_that_is_anothers_remote_directory_is_an_equal_target() -> None:
    (found,) = find_overlaps([site("a", "/www"), site("b", "/shop", staging_dir="/www/")])
    assert found.equal
    assert (found.outer, found.inner, found.inner_place) == ("a", "b", "staging_dir")


def test_a_staging_directory_inside_its_own_nested_website_is_not_told_again() -> None:
    outer, inner = site("outer", "/www"), site("inner", "/www/in", staging_dir="/www/in/tmp")
    assert len(told(outer, inner)) == 1
    assert nested_below(outer, [inner]) == {"in"}


def test_the_outer_website_may_stage_in_the_inner_one() -> None:
    outer, inner = site("outer", "/www", staging_dir="/www/in/tmp"), site("inner", "/www/in")
    assert told(outer, inner) == [
        ("outer", "remote_dir", "inner", "remote_dir", "in"),
        ("inner", "remote_dir", "outer", "staging_dir", "tmp"),
    ]
    assert nested_below(inner, [outer]) == {"tmp"}


def test_two_websites_that_stage_in_one_place_would_replace_each_others_manifest() -> None:
    a, b = site("a", "/a", staging_dir="/stage"), site("b", "/b", staging_dir="stage/")
    (found,) = find_overlaps([a, b])
    assert found == Overlap("a", "staging_dir", "b", "staging_dir", "")
    assert told(site("a", "/a"), site("b", "/b", staging_dir=f"/a/{OWN_NAME}"))[-1] == (
        "a", "staging_dir", "b", "staging_dir", "",
    )  # fmt: skip
    assert told(a, site("b", "/b", staging_dir="/stage/b")) == []


def test_what_a_website_must_leave_alone_is_below_it_and_anothers() -> None:
    root, blog, shop = site("root", "/www"), site("blog", "/www/blog"), site("shop", "/www/a/shop")
    everyone = [root, blog, shop, site("twin", "/www"), site("above", "/")]
    assert nested_below(root, everyone) == {"blog", "a/shop"}
    assert nested_below(blog, everyone) == frozenset()
    assert nested_below(site("above", "/"), everyone) == {"www", "www/blog", "www/a/shop"}


def test_the_default_staging_directory_is_siteferrys_own() -> None:
    assert DEFAULT_STAGING_NAME == OWN_NAME
