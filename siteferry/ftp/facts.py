"""Entries of remote directories, and how MLSD and MLST tell them (RFC 3659, section 7).

Names and facts come from the server, so they are hostile input: what is not exactly as the RFC
says, and every name that would lead elsewhere, is an error and never an entry that is missing.
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from siteferry.errors import ListingDamaged
from siteferry.tree.paths import shown

Kind = Literal["file", "directory", "link", "other"]

_MOST_DIGITS = 19
"""Of a size: what a signed 64-bit number of bytes can have."""
_SHOWN_CHARACTERS = 200
# Fractions of a second may follow; pyftpdlib, ProFTPD, Pure-FTPd and vsftpd give none.
_TIME = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})(?:\.[0-9]+)?")
_ITSELF = ("cdir", "pdir")
# Pure-FTPd 1.0.50: "OS.unix=slink:" with the target left out. ProFTPD 1.3.8: "OS.unix=symlink".
_LINK = re.compile(r"(?:os\.[^=]*=)?(?:slink|symlink|link)(?::.*)?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a remote directory.

    name: one segment of a path; bytes that are not of the session's encoding stand in it as
        surrogates (PEP 383), so that encoding it in the same way gives the server's own bytes.
    size: bytes, of a file; None for everything else, and where the server does not tell.
    mtime: Unix seconds UTC, rounded down; None where the server tells no exact time.
    unique: what the server calls the file itself, whatever its name; an opaque word.
    """

    name: str
    kind: Kind
    size: int | None = None
    mtime: int | None = None
    unique: str | None = None


def parse_facts(line: str) -> tuple[dict[str, str], str]:
    """Cut a line of MLSD or MLST into its facts, by lower-case name, and the path behind them.

    Args:
        line: without its line end, and without the space in front of it that MLST has.

    Raises:
        ListingDamaged: it is not made like that.
    """
    # Not at the first space: ProFTPD tells "UNIX.groupname=domain users;".
    listed, separator, path = line.partition("; ")
    if not separator:
        raise damaged("a line has no facts", line)
    facts: dict[str, str] = {}
    for fact in listed.split(";"):
        name, equals, value = fact.partition("=")
        key = name.lower()
        if not (key and equals) or key in facts:
            raise damaged("a fact cannot be read", line)
        facts[key] = value
    return facts, path


def parse_entry(line: str) -> Entry | None:
    """The entry that a line of MLSD tells; None for the directory itself and the one above it.

    Raises:
        ListingDamaged: the line is malformed, or its name leads elsewhere.
    """
    facts, name = parse_facts(line)
    kind = facts.get("type", "").lower()
    # Some servers call "." and ".." plain directories.
    if kind in _ITSELF or (kind == "dir" and name in (".", "..")):
        return None
    return _entry(facts, name, line)


def parse_described(line: str) -> Entry:
    """The entry that the middle line of a reply to MLST tells, named by the last segment of its
    path; the directory itself is a directory there.

    Raises:
        ListingDamaged: as for `parse_entry`.
    """
    facts, path = parse_facts(line.removeprefix(" "))
    if facts.get("type", "").lower() in _ITSELF:
        facts["type"] = "dir"
    return _entry(facts, path.rpartition("/")[2], line)


def parse_time(text: str) -> int | None:
    """Unix seconds of a time as MLSD and MDTM write it (RFC 3659, section 2.3: UTC, `YYYYMMDD`
    `HHMMSS`, perhaps with a fraction, which is dropped); None for what is no time."""
    if not (found := _TIME.fullmatch(text)):
        return None
    year, month, day, hour, minute, second = map(int, found.groups())
    try:
        datetime(year, month, day, hour, minute, min(second, 59))  # noqa: DTZ001 - checks ranges
    except ValueError:
        return None
    # A second 60 is a leap second.
    return calendar.timegm((year, month, day, hour, minute, second)) if second <= 60 else None


def parse_size(text: str) -> int | None:
    """Bytes as MLSD and SIZE write them; None for what is no such number."""
    plausible = text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS
    return int(text) if plausible else None


def check_name(name: str, line: str) -> None:
    """Check that `name`, told by `line`, is one segment of a path that names something below.

    Raises:
        ListingDamaged: it is not.
    """
    if name in ("", ".", "..") or any(mark in name for mark in "/\0\r\n"):
        raise damaged(f"the name {_quoted(name)} is none that a directory can hold", line)


def damaged(fault: str, line: str) -> ListingDamaged:
    """The error for one line of a listing."""
    return ListingDamaged(f"a remote listing makes no sense: {fault}", reply=_quoted(line))


def _entry(facts: dict[str, str], name: str, line: str) -> Entry:
    check_name(name, line)
    if not facts.get("type"):
        raise damaged("the type is missing", line)
    kind = _kind(facts["type"].lower())
    size = mtime = None
    if "size" in facts and (size := parse_size(facts["size"])) is None:
        raise damaged("a size is no number", line)
    if "modify" in facts and (mtime := parse_time(facts["modify"])) is None:
        raise damaged("a time is none", line)
    return Entry(name, kind, size if kind == "file" else None, mtime, facts.get("unique"))


def _kind(word: str) -> Kind:
    if word == "file":
        return "file"
    if word == "dir":
        return "directory"
    return "link" if _LINK.fullmatch(word) else "other"


def _quoted(text: str) -> str:
    return repr(shown(text[:_SHOWN_CHARACTERS]))
