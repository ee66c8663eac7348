"""Which websites a command is about: names, patterns, groups, all."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from siteferry.cli.selection import Selection, with_sources
from siteferry.errors import ConfigurationError
from siteferry.settings import Settings, load_settings
from siteferry.websites import choose_websites

GROUPS = {
    "client-a": "[clients, shops]",
    "client-b": "[clients]",
    "shop": "[shops]",
    "own": "[]",
}
FTP = "ftp: {host: ftp.example.com}\n"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    folder = tmp_path / "websites"
    folder.mkdir()
    (tmp_path / "siteferry.yaml").write_text("{}\n")
    for name, groups in GROUPS.items():
        (folder / f"{name}.yaml").write_text(f"website: {{groups: {groups}}}\n{FTP}")
    return load_settings(tmp_path / "siteferry.yaml")


def write(settings: Settings, name: str, text: str) -> None:
    (settings.paths.websites / name).write_text(text)


def names(settings: Settings, *sites: str, groups: tuple[str, ...] = ()) -> list[str]:
    return [one.name for one in choose_websites(settings, sites, groups)]


def test_a_pattern_stands_for_all_that_it_matches_and_each_website_comes_once(
    settings: Settings,
) -> None:
    assert names(settings, "client-*") == ["client-a", "client-b"]
    assert names(settings, "own", "client-[b-z]", "*") == ["own", "client-b", "client-a", "shop"]
    assert names(settings, "????") == ["shop"]


def test_upper_and_lower_case_are_two(settings: Settings) -> None:
    with pytest.raises(ConfigurationError):
        names(settings, "CLIENT-*")


def test_groups_add_up_with_each_other_and_with_names(settings: Settings) -> None:
    assert names(settings, groups=("shops",)) == ["client-a", "shop"]
    assert names(settings, groups=("shops", "clients")) == ["client-a", "client-b", "shop"]
    assert names(settings, "own", "shop", groups=("clients",)) == [
        "own", "shop", "client-a", "client-b",
    ]  # fmt: skip


def test_all_are_all(settings: Settings) -> None:
    assert [one.name for one in choose_websites(settings, every=True)] == sorted(GROUPS)


@pytest.mark.parametrize(
    ("sites", "groups", "message", "next_step"),
    [
        (("clent-*",), (), "no website matches 'clent-*'", "client-a"),
        (("zzz*",), (), "no website matches 'zzz*'", "There are: client-a, client-b, own"),
        (("shop", "clien-a"), (), "there is no website clien-a", "client-a"),
        ((), ("client",), "no website is in the group 'client'", "clients"),
        (("own",), ("nowhere",), "no website is in the group 'nowhere'", "clients, shops"),
    ],
)
def test_what_means_nothing_is_a_mistake_that_names_near_ones(
    settings: Settings,
    sites: tuple[str, ...],
    groups: tuple[str, ...],
    message: str,
    next_step: str,
) -> None:
    with pytest.raises(ConfigurationError) as raised:
        names(settings, *sites, groups=groups)
    assert message in raised.value.message
    assert next_step in raised.value.next_step
    assert raised.value.exit_code == 2


def test_a_broken_file_is_told_with_its_website_and_keeps_no_other(settings: Settings) -> None:
    write(settings, "client-c.yaml", "ftp: {hostt: x}\n")
    write(settings, "own.json", "{}")
    chosen = {one.name: one for one in choose_websites(settings, every=True)}
    assert {name for name, one in chosen.items() if one.website is None} == {"client-c", "own"}
    assert "ftp.hostt" in str(chosen["client-c"].error)
    assert "more than one file" in str(chosen["own"].error)


def test_a_file_that_may_not_be_looked_at_is_told_with_its_website_and_keeps_no_other(
    settings: Settings,
) -> None:
    (settings.paths.websites / "stale.yaml").symlink_to("a" * 300)
    chosen = {one.name: one for one in choose_websites(settings, every=True)}
    assert "cannot be read: File name too long" in str(chosen["stale"].error)
    assert sum(one.website is not None for one in chosen.values()) == len(chosen) - 1 > 1
    assert names(settings, "own") == ["own"]


def test_a_broken_file_is_in_the_groups_that_it_says(settings: Settings) -> None:
    write(settings, "client-c.yaml", "website: {groups: [clients]}\nftp: {hostt: x}\n")
    assert names(settings, groups=("clients",)) == ["client-a", "client-b", "client-c"]
    assert names(settings, groups=("shops",)) == ["client-a", "shop"]


@pytest.mark.parametrize("text", ["website: [\n", "website: {groups: 5}\n", "\x01"])
def test_a_file_that_cannot_tell_its_groups_is_not_left_out_in_silence(
    settings: Settings, text: str
) -> None:
    write(settings, "unknown.yaml", text)
    assert "unknown" in names(settings, groups=("shops",))
    assert "unknown" not in names(settings, "client-*")


def test_groups_of_the_defaults_count(settings: Settings) -> None:
    write(settings, "later.yaml", FTP)
    defaults = {"website": {"groups": ["everywhere"]}}
    with_defaults = settings.model_copy(update={"defaults": defaults})
    assert names(with_defaults, groups=("everywhere",)) == ["later"]


def test_one_name_is_one_website_and_its_mistake_the_mistake_of_the_command(
    settings: Settings,
) -> None:
    write(settings, "broken.yaml", "ftp: {hostt: x}\n")
    assert not Selection(("broken",)).many
    assert not Selection(("shop", "shop")).many
    with pytest.raises(ConfigurationError, match="hostt"):
        Selection(("broken",)).choose(settings)
    for several in (Selection(("broken*",)), Selection(("broken", "shop"))):
        assert several.many
        assert several.choose(settings)[0].error is not None
    assert Selection((), ("shops",)).many
    assert Selection((), (), every=True).many


@pytest.mark.parametrize(
    ("sites", "groups", "every"),
    [((), (), False), (("a",), (), True), ((), ("g",), True)],
)
def test_nothing_named_or_all_beside_others_is_wrong_usage(
    sites: tuple[str, ...], groups: tuple[str, ...], every: bool
) -> None:
    with pytest.raises(click.UsageError):
        Selection(sites, groups, every)


def test_a_website_without_its_source_is_told_as_a_broken_one(
    settings: Settings, tmp_path: Path
) -> None:
    here = settings.model_copy(
        update={"paths": settings.paths.model_copy(update={"workspaces": tmp_path / "work"})}
    )
    (tmp_path / "work/shop/output").mkdir(parents=True)
    chosen = {one.name: one for one in with_sources(choose_websites(here, ["*"]), here)}
    assert [name for name, one in chosen.items() if one.error is None] == ["shop"]
    assert "workspace" in str(chosen["own"].error)
