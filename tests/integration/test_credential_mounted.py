"""Secrets as Docker and Kubernetes mount them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siteferry.credentials import Entry, variable_name
from siteferry.credentials.mounted import MountedBackend
from siteferry.errors import (
    CredentialAbsent,
    CredentialDenied,
    CredentialMalformed,
    CredentialReadOnly,
    CredentialUnreachable,
)
from siteferry.secret import Secret
from tests.shown_errors import everything_shown

MARKED = "hunter2-S3cret-Marked"
FLAT = "SITEFERRY_CRED_SHOP_FTP_PASSWORD"
NAMES = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,8}", fullmatch=True)


@pytest.fixture
def folder(open_folder: Path) -> Path:
    return open_folder


@pytest.fixture
def store(folder: Path) -> MountedBackend:
    return MountedBackend(folder)


def put(path: Path, content: str = MARKED) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content.encode())


@pytest.mark.parametrize("place", [FLAT, "shop/FTP_PASSWORD"])
@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_secret_is_in_a_file_of_its_own_or_in_its_site_s_directory(
    folder: Path, store: MountedBackend, place: str, end: str
) -> None:
    put(folder / place, f" {MARKED} {end}")
    (folder / place).chmod(0o444)
    assert store.get("shop", "FTP_PASSWORD") == Secret(f" {MARKED} ")
    assert store.list() == (Entry("shop", "FTP_PASSWORD"),)


def test_only_one_line_end_is_dropped(folder: Path, store: MountedBackend) -> None:
    put(folder / FLAT, f"{MARKED}\n\n")
    with pytest.raises(CredentialMalformed, match="holds a line break") as refused:
        store.get("shop", "FTP_PASSWORD")
    assert MARKED not in everything_shown(refused.value)


def test_one_entry_in_two_files_is_malformed_and_both_are_named(
    folder: Path, store: MountedBackend
) -> None:
    """Also with the same value: which one is the current one would be a guess."""
    put(folder / FLAT)
    put(folder / "shop" / "FTP_PASSWORD")
    with pytest.raises(CredentialMalformed, match="is in two files") as refused:
        store.get("shop", "FTP_PASSWORD")
    assert str(folder / FLAT) in refused.value.message
    assert str(folder / "shop" / "FTP_PASSWORD") in refused.value.message
    assert MARKED not in everything_shown(refused.value)


def test_an_absent_entry_is_told_with_both_places(folder: Path, store: MountedBackend) -> None:
    with pytest.raises(CredentialAbsent) as absent:
        store.get("shop", "FTP_PASSWORD")
    assert absent.value.next_step == (
        f"Mount it as {folder / FLAT} or as {folder / 'shop' / 'FTP_PASSWORD'}."
    )


@given(NAMES, NAMES)
def test_the_file_of_its_own_has_a_name_that_both_platforms_allow(site: str, key: str) -> None:
    """Docker wants a letter or digit at both ends, too; Kubernetes no `..` in front."""
    assert re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*[a-zA-Z0-9]", variable_name(site, key))


def test_kubernetes_swaps_the_contents_under_the_same_store(
    folder: Path, store: MountedBackend
) -> None:
    """As the kubelet's atomic writer does: names lead through `..data` to a dated directory."""
    for volume, name in ((folder, FLAT), (folder / "other", "FTP_PASSWORD")):
        volume.mkdir(exist_ok=True)
        put(volume / "..2024_01" / name, "old")
        (volume / "..data").symlink_to("..2024_01")
        (volume / name).symlink_to(Path("..data", name))
    assert store.get("shop", "FTP_PASSWORD") == Secret("old")
    assert store.get("other", "FTP_PASSWORD") == Secret("old")
    for volume, name in ((folder, FLAT), (folder / "other", "FTP_PASSWORD")):
        put(volume / "..2024_02" / name, "new")
        (volume / "..data_tmp").symlink_to("..2024_02")
        (volume / "..data_tmp").replace(volume / "..data")
        (volume / "..2024_01" / name).unlink()
    assert store.get("shop", "FTP_PASSWORD") == Secret("new")
    assert store.get("other", "FTP_PASSWORD") == Secret("new")
    assert store.list() == (Entry("other", "FTP_PASSWORD"), Entry("shop", "FTP_PASSWORD"))


def test_a_list_has_only_what_can_be_an_entry(folder: Path, store: MountedBackend) -> None:
    put(folder / FLAT)
    put(folder / "SITEFERRY_CRED_SHOP_OTHER_FILE")
    put(folder / "redis_password")
    put(folder / ".hidden")
    put(folder / "site" / ".hidden")
    put(folder / "site" / "a b")
    put(folder / "site" / "KEY")
    put(folder / "a b" / "KEY")
    (folder / "kubernetes.io" / "serviceaccount").mkdir(parents=True)
    (folder / "dangling").symlink_to("nowhere")
    (folder / "site" / "DANGLING").symlink_to("nowhere")
    assert [str(entry) for entry in store.list()] == ["shop/FTP_PASSWORD", "site/KEY"]
    assert store.list("site") == (Entry("site", "KEY"),)
    assert MARKED not in repr(store.list())


def test_a_name_that_leads_nowhere_is_no_absence(folder: Path, store: MountedBackend) -> None:
    (folder / FLAT).symlink_to("..data/gone")
    with pytest.raises(CredentialUnreachable, match="a link that leads to no file") as refused:
        store.get("shop", "FTP_PASSWORD")
    assert refused.value.next_step


def test_a_site_called_like_a_file_is_not_taken_for_it(folder: Path, store: MountedBackend) -> None:
    put(folder / FLAT / "KEY")
    with pytest.raises(CredentialAbsent):
        store.get("shop", "FTP_PASSWORD")
    assert store.get(FLAT, "KEY") == Secret(MARKED)


def test_a_name_too_long_for_a_file_may_be_in_its_site_s_directory(
    folder: Path, store: MountedBackend
) -> None:
    site = "A" * 128
    with pytest.raises(CredentialAbsent):
        store.get(site, "KEY")
    put(folder / site / "KEY")
    assert store.get(site, "KEY") == Secret(MARKED)


def test_what_is_no_file_is_malformed_and_nobody_waits_for_it(
    folder: Path, store: MountedBackend
) -> None:
    os.mkfifo(folder / FLAT)
    with pytest.raises(CredentialMalformed, match="not a file of UTF-8 text"):
        store.get("shop", "FTP_PASSWORD")


@pytest.mark.parametrize("content", [b"\xff\xfe" + MARKED.encode(), MARKED.encode() * 5000])
def test_what_is_no_text_or_far_too_long_is_malformed_and_not_shown(
    folder: Path, store: MountedBackend, content: bytes
) -> None:
    (folder / FLAT).write_bytes(content)
    with pytest.raises(CredentialMalformed, match="not a file of UTF-8 text") as refused:
        store.get("shop", "FTP_PASSWORD")
    assert MARKED not in everything_shown(refused.value)
    assert refused.value.__context__ is None


@pytest.mark.parametrize("make", [None, Path.touch], ids=["missing", "a file"])
def test_what_is_not_mounted_is_unreachable(
    folder: Path, make: Callable[[Path], None] | None
) -> None:
    if make:
        make(folder / "secrets")
    store = MountedBackend(folder / "secrets")
    uses: list[Callable[[], object]] = [lambda: store.get("shop", "KEY"), store.list, store.probe]
    for use in uses:
        with pytest.raises(CredentialUnreachable, match="Mount the secrets there"):
            use()


def test_what_may_not_be_read_is_denied(
    folder: Path, store: MountedBackend, as_ordinary_user: Callable[..., Any]
) -> None:
    put(folder / FLAT)
    (folder / FLAT).chmod(0o000)
    with pytest.raises(CredentialDenied, match=f"{FLAT} may not be read by this user"):
        as_ordinary_user(store.get, "shop", "FTP_PASSWORD")
    put(folder / "site" / "KEY")
    (folder / "site").chmod(0o000)
    with pytest.raises(CredentialDenied, match="site"):
        as_ordinary_user(store.get, "site", "KEY")
    with pytest.raises(CredentialDenied, match=r"site may not be read"):
        as_ordinary_user(store.list)
    (folder / "site").chmod(0o755)


def test_a_change_is_refused_and_the_platforms_means_are_told(store: MountedBackend) -> None:
    attempts: list[Callable[[], None]] = [
        lambda: store.store("shop", "KEY", Secret(MARKED)),
        lambda: store.delete("shop", "KEY"),
    ]
    for attempt in attempts:
        with pytest.raises(CredentialReadOnly, match="docker secret create") as refused:
            attempt()
        assert "kubectl" in refused.value.next_step
        assert MARKED not in everything_shown(refused.value)
