"""A directory and a URL in place of a website's file: what they mean, and what they are called."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from siteferry.credentials import variable_name
from siteferry.errors import ConfigurationError
from siteferry.settings.expansion import EnvironmentText
from siteferry.settings.references import is_name
from siteferry.websites import account, target
from siteferry.websites.ad_hoc import AdHocWebsite
from siteferry.websites.ad_hoc_url import ServerUrl, parse_server_url
from siteferry.websites.run_options import RunOptions

MARKED = "Marked-Tide-8812"


def website(**changes: object) -> AdHocWebsite:
    made = AdHocWebsite("/srv/shop", "explicit", "u123", "ftp.example.com", 21, "/public_html")
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("ftp://u@h", ServerUrl("none", "u", "h", 21, "/")),
        ("ftps://u@H.Example/a/b", ServerUrl("explicit", "u", "h.example", 21, "/a/b")),
        ("FTPS://u@h:2121/", ServerUrl("explicit", "u", "h", 2121, "/")),
        ("ftps://u@h:990/a", ServerUrl("implicit", "u", "h", 990, "/a")),
        ("ftpis://u@h/a", ServerUrl("implicit", "u", "h", 990, "/a")),
        ("ftpis://u@h:9990/a", ServerUrl("implicit", "u", "h", 9990, "/a")),
        ("ftps://web@shop.example@h/a", ServerUrl("explicit", "web@shop.example", "h", 21, "/a")),
        ("ftps://web%40x@h/a%20b@c", ServerUrl("explicit", "web@x", "h", 21, "/a b@c")),
        ("ftps://u@[::1]:2121/a", ServerUrl("explicit", "u", "::1", 2121, "/a")),
    ],
)
def test_a_url_says_host_account_directory_and_kind_of_tls(url: str, expected: ServerUrl) -> None:
    assert parse_server_url(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        f"ftps://u:{MARKED}@h/a",
        f"ftps://u:{MARKED}/x@h/a",
        f"ftps://u:x@{MARKED}@h/a",
        f"ftps://u:?{MARKED}@h/a",
        f"ftps://:{MARKED}@h/a",
        f"ftps://u@h:{MARKED}/a",
        f"ftps://{MARKED}/a",
        f"ftps://{MARKED}%FF@h/a",
        f"ftps://{MARKED}%0D%0ADELE%20x@h/a",
        f"ftps://u@h/a?{MARKED}",
        f"ftps://u@h:70000/{MARKED}",
        f"sftp://{MARKED}@h/a",
        f"ftps://{MARKED}@/a",
    ],
)
def test_a_url_that_is_refused_is_never_quoted(url: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        parse_server_url(url)
    assert MARKED not in str(refused.value)
    assert refused.value.next_step
    assert refused.value.__context__ is None


def test_a_password_in_the_url_is_refused_as_one() -> None:
    with pytest.raises(ConfigurationError, match=r"carries a password.*SITEFERRY_FTP_PASSWORD"):
        parse_server_url(f"ftps://u:{MARKED}@h/a")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "u123-at-ftp.example.com"),
        ({"port": 990, "security": "implicit"}, "u123-at-ftp.example.com"),
        ({"port": 2121}, "u123-at-ftp.example.com-2121"),
        ({"username": "web@shop.example"}, "web-shop.example-at-ftp.example.com-"),
        ({"username": "a-at-b"}, "a-at-b-at-ftp.example.com-"),
        ({"host": "h-2121"}, "u123-at-h-2121-"),
        ({"host": "::1"}, "u123-at--1-"),
        ({"username": "ü" * 200}, "at-ftp.example.com-"),
        ({"username": "u" * 200}, "u" * 80 + "-"),
    ],
)
def test_an_accounts_password_has_a_name_that_follows_from_user_and_host(
    changes: dict[str, object], expected: str
) -> None:
    name = website(**changes).credential
    if expected.endswith("-"):
        assert name.startswith(expected)
        assert len(name) == len(expected) + 8, "eight digits of a digest"
    else:
        assert name == expected
    assert variable_name(name, "FTP_PASSWORD")


def test_no_two_accounts_have_one_name() -> None:
    accounts: list[dict[str, object]] = [
        {"username": "a-at-b", "host": "c"}, {"username": "a", "host": "b-at-c"},
        {"username": "a", "host": "b-2121"}, {"username": "a", "host": "b", "port": 2121},
        {"username": "a b", "host": "c"}, {"username": "a-b", "host": "c"},
        {"username": "a@b", "host": "c"}, {"username": ".a-b", "host": "c"},
        {"username": "x" * 90, "host": "c"}, {"username": "x" * 91, "host": "c"},
    ]  # fmt: skip
    assert len({website(**changes).credential for changes in accounts}) == len(accounts)


def test_reports_call_it_by_account_and_directory() -> None:
    assert website().site == "u123-at-ftp.example.com-public_html"
    assert website(remote_dir="/").site == "u123-at-ftp.example.com"
    assert website(remote_dir="/a b/c").site == "u123-at-ftp.example.com-a-b-c"
    assert is_name(website(remote_dir="/" + "x" * 500, username="-").site)


def test_it_is_a_website_like_any_other(tmp_path: Path) -> None:
    made = website(source=str(tmp_path / "${HOME}"), remote_dir="/${X}/a").website()
    assert made.ftp.remote_dir == "/${X}/a"
    assert Path(made.workspace) / made.sources[0].path == tmp_path / "${HOME}"
    # The same lock and the same limits as of a website that has a file.
    assert account(website().website()) == "u123@ftp.example.com:21"
    assert target(website().website()) == "u123@ftp.example.com:21/public_html"
    assert str(website().website().ftp.password) == (
        "${credential:u123-at-ftp.example.com/FTP_PASSWORD}"
    )
    assert str(website(brought=True).website().ftp.password) == (
        "${credential:environment:u123-at-ftp.example.com/FTP_PASSWORD}"
    )


def test_the_user_of_the_url_is_taken_literally() -> None:
    username = website(username="${HOME}").website().ftp.username
    assert isinstance(username, EnvironmentText)
    assert username.expand({"HOME": "/root"}) == "${HOME}"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"remote_dir": "/a/../b"}, "ftp.remote_dir"),
        ({"remote_dir": "/a\r\nDELE x"}, "ftp.remote_dir"),
        ({"host": "h/x"}, "ftp.host"),
        ({"fingerprint": "abc"}, "ftp.fingerprint"),
    ],
)
def test_what_no_website_may_have_is_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        website(**changes).website()


def test_it_travels_with_the_options_of_its_run() -> None:
    options = RunOptions(delete="published", ad_hoc=website(fingerprint="sha256:" + "ab" * 32))
    assert RunOptions.of(options.facts()) == options
