"""Whatever a server lists: entries, or the one error that says that a listing makes no sense."""

from __future__ import annotations

import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siteferry.errors import ListingDamaged
from siteferry.ftp.facts import Entry, Kind, parse_described, parse_entry, parse_size, parse_time
from siteferry.ftp.list_lines import parse_list_line

TYPES: dict[str, Kind] = {
    "file": "file",
    "dir": "directory",
    "OS.unix=slink": "link",
    "OS.unix=slink:": "link",
    "OS.unix=slink:/the/target": "link",
    "OS.unix=symlink": "link",
    "OS.unix=chr-1/2": "other",
    "unknown": "other",
    "filed": "other",
    "directory": "other",
}
LATEST = 253_402_300_799
"""The end of the year 9999, Unix seconds."""

names = st.text(
    st.one_of(
        st.characters(exclude_characters="/\0\r\n", exclude_categories=["Cs"]),
        st.sampled_from("; =.->\t\udc80\udcff"),
    ),
    min_size=1,
    max_size=60,
).filter(lambda name: name not in (".", ".."))
values = st.text(st.characters(exclude_characters=";\r\n", exclude_categories=["Cs"]), max_size=20)
raw_lines = st.binary(max_size=200)


def in_any_case(word: str) -> st.SearchStrategy[str]:
    return st.lists(st.booleans(), min_size=len(word), max_size=len(word)).map(
        lambda upper: "".join(
            c.upper() if up else c.lower() for c, up in zip(word, upper, strict=True)
        )
    )


@st.composite
def told_entries(draw: st.DrawFn) -> tuple[str, Entry]:
    """A line of MLSD, its facts in any order and case among others, and the entry that it tells."""
    word = draw(st.sampled_from(sorted(TYPES)))
    kind = TYPES[word]
    size = draw(st.none() | st.integers(0, 2**63 - 1))
    mtime = draw(st.none() | st.integers(-(10**10), LATEST))
    unique = draw(st.none() | values)
    facts = [("type", draw(in_any_case(word)))]
    if size is not None:
        facts.append(("size", str(size)))
    if mtime is not None:
        moment = time.gmtime(mtime)
        stamp = f"{moment.tm_year:04}" + time.strftime("%m%d%H%M%S", moment)
        facts.append(("modify", stamp + draw(st.sampled_from(["", ".1", ".999"]))))
    if unique is not None:
        facts.append(("unique", unique))
    others = draw(st.dictionaries(st.sampled_from(["perm", "unix.mode", "x.y"]), values))
    facts = draw(st.permutations([*facts, *others.items()]))
    name = draw(names)
    told = "".join(f"{draw(in_any_case(key))}={value};" for key, value in facts)
    entry = Entry(name, kind, size if kind == "file" else None, mtime, unique)
    return f"{told} {name}", entry


@given(told_entries())
def test_every_entry_that_is_told_is_read_back(told: tuple[str, Entry]) -> None:
    line, entry = told
    assert parse_entry(line) == entry
    assert parse_described(f" {line}") == entry


@given(names)
def test_a_name_goes_back_as_the_bytes_that_came(name: str) -> None:
    sent = name.encode("utf-8", "surrogateescape")
    line = (b"type=file; " + sent).decode("utf-8", "surrogateescape")
    entry = parse_entry(line)
    assert entry is not None
    assert entry.name.encode("utf-8", "surrogateescape") == sent


def is_harmless(entry: Entry | None) -> bool:
    if entry is None:
        return True
    return (
        entry.name not in ("", ".", "..")
        and not set(entry.name) & set("/\0\r\n")
        and (entry.size is None or entry.size >= 0)
        and (entry.size is None or entry.kind == "file")
    )


@given(raw_lines | st.binary(max_size=60).map(lambda tail: b"type=file;size=1; " + tail))
def test_any_bytes_for_mlsd_are_an_entry_or_damaged(raw: bytes) -> None:
    for line in (raw.decode("utf-8", "surrogateescape"), raw.decode("latin-1")):
        try:
            assert is_harmless(parse_entry(line))
            assert is_harmless(parse_described(line))
        except ListingDamaged as error:
            str(error).encode()  # can be shown


@given(st.text(alphabet="type=filedrsz;modunqOS. /123", max_size=60))
def test_what_is_nearly_a_line_of_mlsd_is_an_entry_or_damaged(line: str) -> None:
    with contextlib.suppress(ListingDamaged):
        assert is_harmless(parse_entry(line))


LIST_LINES = [
    "drwxr-xr-x   10 1        1            4096 Nov 24 05:45 .",
    "-rw-r--r--    1 1        1               5 May 13  2014 f",
    "lrwxrwxrwx    1 1        1               7 Nov 24 05:45 dangling -> nowhere",
    "prw-r--r--   1 site     1               0 Nov 24 05:45 fifo",
    "-rw-r--r--    1 1          daemon              1 Jun 11 08:53 y2k",
    "-rw-r--r--   1 daemon   daemon          1 Nov 24 05:45 \udcfc",
    "11-24-26  05:45AM       <DIR>          aspnet_client",
    "11-24-26  05:45PM                 1234 web.config",
    "total 12",
]

NUMBERS = st.text(alphabet="0123456789-+_:., \u0661", min_size=1, max_size=25)


@st.composite
def spoiled_list_lines(draw: st.DrawFn) -> str:
    """A real line of LIST with one field replaced, cut out or doubled, or cut off."""
    line = draw(st.sampled_from(LIST_LINES))
    fields = line.split(" ")
    at = draw(st.integers(0, len(fields) - 1))
    spoiling = draw(st.sampled_from(["replace", "drop", "double", "cut"]))
    if spoiling == "replace":
        fields[at] = draw(NUMBERS | st.text(max_size=12))
    elif spoiling == "drop":
        del fields[at]
    elif spoiling == "double":
        fields.insert(at, fields[at])
    else:
        return line[: draw(st.integers(0, len(line)))]
    return " ".join(fields)


@given(
    spoiled_list_lines()
    | st.text(max_size=120)
    | raw_lines.map(lambda raw: raw.decode("utf-8", "surrogateescape"))
)
def test_any_text_for_list_is_an_entry_or_damaged(line: str) -> None:
    try:
        assert is_harmless(parse_list_line(line))
    except ListingDamaged as error:
        str(error).encode()


@given(names, st.sampled_from(["-rw-r--r--", "-rwxr-xr-x", "-rw-r--r--+"]), st.integers(0, 10**18))
def test_the_name_of_a_file_survives_list(name: str, mode: str, size: int) -> None:
    line = f"{mode}    1 1        1        {size:8} May 13  2014 {name}"
    assert parse_list_line(line) == Entry(name, "file", size)


@given(names.filter(lambda name: " -> " not in f" {name} "), st.integers(0, 10**18))
def test_the_name_of_a_link_ends_at_its_arrow(name: str, size: int) -> None:
    line = f"lrwxrwxrwx    1 1        1        {size:8} May 13  2014 {name} -> a/target"
    try:
        assert parse_list_line(line) == Entry(name, "link")
    except ListingDamaged:
        pytest.fail("a line that has one arrow only was not read")


@given(st.text(max_size=30))
def test_a_time_is_a_number_of_seconds_or_none(text: str) -> None:
    assert isinstance(parse_time(text), int | None)
    assert isinstance(parse_size(text), int | None)


@given(st.integers(-(10**10), LATEST))
def test_every_time_is_read_back(seconds: int) -> None:
    moment = time.gmtime(seconds)
    stamp = f"{moment.tm_year:04}" + time.strftime("%m%d%H%M%S", moment)
    assert parse_time(stamp) == seconds
