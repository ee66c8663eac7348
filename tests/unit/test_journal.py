"""The journal is whole or it is none; and its paths lead nowhere else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from siteferry.errors import DocumentDamaged
from siteferry.tree import journal as journals
from siteferry.tree.framing import pack, unpack
from siteferry.tree.journal import Journal, Move, PutAside

JOURNAL = Journal(
    run="20260131-154502-9f2c1a",
    site="example",
    staging="/public_html/.htsiteferry/20260131-154502-9f2c1a",
    clear=(PutAside("old-file", ".httrash.0"),),
    directories=("old-file", "a/ünïcödé"),
    classes=(
        (Move(".htfiles-0-0.1ab.0", "a/style.css", 10, "aa"),),
        (Move(".htfiles-0-0.1ab.1", "a/page.html", 11, "bb"),),
    ),
    remove=(PutAside("gone.html", ".httrash.1"),),
    manifest=Move(".htmanifest", ".htmanifest", 99, "cc"),
    empty=("gone",),
    directory_mode=0o750,
)


def test_a_journal_comes_back_as_it_was_written() -> None:
    assert journals.decode(journals.encode(JOURNAL)) == JOURNAL


def test_a_journal_without_anything_to_move_comes_back_too() -> None:
    bare = replace(
        JOURNAL, clear=(), directories=(), classes=(), remove=(), empty=(), directory_mode=None
    )
    assert journals.decode(journals.encode(bare)) == bare


def test_a_journal_cut_at_any_byte_is_refused() -> None:
    data = journals.encode(JOURNAL)
    for length in range(len(data)):
        with pytest.raises(DocumentDamaged):
            journals.decode(data[:length])


def test_a_journal_whose_content_was_changed_is_refused() -> None:
    records = list(unpack(journals.encode(JOURNAL), "x"))
    header = records[0]
    assert isinstance(header, dict)
    forged = pack([header | {"version": 99}, *records[1:]])
    with pytest.raises(DocumentDamaged, match="another version"):
        journals.decode(forged)


@pytest.mark.parametrize("version", [1, 2])
def test_a_journal_of_an_earlier_version_is_read(version: int) -> None:
    header, *records = unpack(journals.encode(JOURNAL), "x")
    assert isinstance(header, dict)
    del header["directory_mode"]
    if version == 1:
        assert records.pop(-2) == ["gone"]
    earlier = replace(JOURNAL, directory_mode=None, empty=() if version == 1 else JOURNAL.empty)
    assert journals.decode(pack([header | {"version": version}, *records])) == earlier


@pytest.mark.parametrize("mode", [-1, 0o1000, "755", 7.5])
def test_a_journal_with_permissions_that_are_none_is_refused(mode: object) -> None:
    header, *records = unpack(journals.encode(JOURNAL), "x")
    assert isinstance(header, dict)
    with pytest.raises(DocumentDamaged, match="no sense"):
        journals.decode(pack([header | {"directory_mode": mode}, *records]))


@pytest.mark.parametrize("path", ["../up", "/etc/passwd", "a/../../b", "a\r\nDELE b", ""])
def test_a_journal_with_a_path_that_leads_astray_is_refused(path: str) -> None:
    for changed in (
        replace(JOURNAL, directories=(path,)),
        replace(JOURNAL, clear=(PutAside(path, ".httrash.0"),)),
        replace(JOURNAL, remove=(PutAside("x", path),)),
        replace(JOURNAL, classes=((Move(path, "x", 1, "aa"),),)),
        replace(JOURNAL, classes=((Move("x", path, 1, "aa"),),)),
    ):
        with pytest.raises(DocumentDamaged, match="no sense"):
            journals.decode(journals.encode(changed))
