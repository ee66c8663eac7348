"""Website files: finding them, the defaults that lie under them, and their sources."""

from __future__ import annotations

from pathlib import Path

import pytest

from siteferry.errors import ConfigurationError
from siteferry.settings import Settings, load_settings
from siteferry.websites import (
    Website,
    check_sources,
    list_websites,
    load_website,
)
from tests.refusal import MARKED, refusal


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Default settings in an empty working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config/websites").mkdir(parents=True)
    return load_settings(None, {})


def write(text: str, name: str = "shop.yaml") -> None:
    Path("config/websites", name).write_text(text, encoding="utf-8")


def read(
    text: str, settings: Settings, environ: dict[str, str] | None = None, name: str = "shop"
) -> Website:
    write(text, f"{name}.yaml")
    return load_website(name, settings, environ or {})


def refused(text: str, settings: Settings, environ: dict[str, str] | None = None) -> str:
    """Load `text`, which must be refused; gives the message."""
    return refusal(lambda: read(text, settings, environ))


# Defaults of the settings


def test_defaults_lie_under_the_file_key_by_key(settings: Settings) -> None:
    Path("config/siteferry.yaml").write_text(
        """
defaults:
  ftp: {max_connections: 4, ca_file: ca.pem, timeouts: {connect: 5, data: 9}}
  exclude: ["*.bak"]
  publish: per-file
  bandwidth: ${RATE:-1k}
"""
    )
    text = "ftp: {host: h.example, ca_file: null, timeouts: {connect: 7}}\nexclude: [x]\npublish:\n"
    site = read(text, load_settings(None, {}), {"RATE": "2k"})
    assert (site.ftp.max_connections, site.ftp.ca_file) == (4, None)
    timeouts = site.ftp.timeouts
    assert (timeouts.connect, timeouts.control, timeouts.data) == (7.0, 60.0, 9.0)
    assert site.exclude == ("x",)
    assert (site.publish, site.bandwidth) == ("per-file", 2000)


def test_a_mistake_in_the_defaults_is_told_with_the_settings_line(settings: Settings) -> None:
    Path("config/siteferry.yaml").write_text(
        f"defaults:\n  ftp:\n    port: {MARKED}\n    prot: 3\n  bandwidth: ${{RATE}}\n"
    )
    assert refused("ftp: {host: h.example}", load_settings(None, {})).splitlines() == [
        "config/siteferry.yaml:3: defaults.ftp.port: must be a whole number",
        "config/siteferry.yaml:4: defaults.ftp.prot: is not a known key; did you mean port?",
        "config/siteferry.yaml:5: defaults.bandwidth: the environment variable RATE is not set; "
        "set it, or write ${NAME:-default}",
    ]


# Files


def test_websites_are_listed_by_their_files(settings: Settings) -> None:
    for name in (
        "b.yaml",
        "a.example.yml",
        "c.json",
        ".hidden.yaml",
        "d.txt",
        "-x.yaml",
        "e f.yml",
    ):
        write("", name)
    Path("config/websites/folder.yaml").mkdir()
    assert list_websites(settings) == ["a.example", "b", "c"]


def test_without_a_folder_there_is_no_website(settings: Settings) -> None:
    Path("config/websites").rmdir()
    assert list_websites(settings) == []


def test_a_folder_that_is_a_file_is_an_error(settings: Settings) -> None:
    Path("config/websites").rmdir()
    Path("config/websites").write_text("")
    with pytest.raises(ConfigurationError, match="config/websites, cannot be read: Not a dir"):
        list_websites(settings)


def test_a_website_that_is_not_there_is_named_with_the_nearest_one(settings: Settings) -> None:
    write("", "example.yaml")
    with pytest.raises(ConfigurationError, match=r"example\.yml|Did you mean example\?"):
        load_website("exmaple", settings)
    with pytest.raises(ConfigurationError, match="siteferry init zebra"):
        load_website("zebra", settings)


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".a", "-a", "a b", "é", "a\n"])
def test_a_name_that_is_none_is_refused(name: str, settings: Settings) -> None:
    with pytest.raises(ConfigurationError, match="cannot be a website's name"):
        load_website(name, settings)


def test_two_files_for_one_website_are_refused(settings: Settings) -> None:
    write("", "shop.yaml")
    write("{}", "shop.json")
    with pytest.raises(ConfigurationError, match=r"more than one file: .*yaml and .*json"):
        load_website("shop", settings)


# Sources


def test_sources_that_are_there_are_fine(settings: Settings) -> None:
    site = read("ftp: {host: h}\nsources: [a, b/c]", settings)
    for name in ("a", "b/c"):
        Path("workspaces/shop", name).mkdir(parents=True)
    check_sources(site, settings)


def test_a_missing_workspace_is_named_with_the_next_step(settings: Settings) -> None:
    site = read("ftp: {host: h}", settings)
    with pytest.raises(ConfigurationError, match=r"workspaces/shop, does not exist\. Create it"):
        check_sources(site, settings)
    Path("workspaces").mkdir()
    Path("workspaces/shop").write_text("")
    with pytest.raises(ConfigurationError, match="workspaces/shop, is not a directory"):
        check_sources(site, settings)


def test_every_missing_source_is_named(settings: Settings) -> None:
    site = read("ftp: {host: h}\nsources: [a, b, c]", settings)
    Path("workspaces/shop/a").mkdir(parents=True)
    Path("workspaces/shop/b").write_text("")
    with pytest.raises(ConfigurationError) as caught:
        check_sources(site, settings)
    assert "shop/b (not a directory)" in str(caught.value)
    assert "shop/c (missing)" in str(caught.value)
    assert "shop/a" not in str(caught.value)
