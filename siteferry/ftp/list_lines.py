"""What a line of LIST tells, for servers without MLSD: in the forms of `ls -l` and of DOS.

ftputil knows the forms; but it takes the leading spaces off a name, and reads a file named
`a -> b` as a link. So it gets the line with another name, and the name is cut out here.
"""

from __future__ import annotations

import re
import stat

from ftputil.error import ParserError
from ftputil.stat import MSParser, UnixParser

from siteferry.ftp.facts import Entry, Kind, check_name, damaged

# Fields in front of the name, which exactly one space follows (POSIX, ls, "STDOUT").
_WITH_OWNER = re.compile(r"(?:\S+\s+){7}\S+ ")
_WITHOUT_OWNER = re.compile(r"(?:\S+\s+){6}\S+ ")
_DAY_FIELD = 5
# What follows the mode where there are access lists or security labels.
_BEHIND_MODE = re.compile(r"^(\S{10})[+.@](?=\s)")
_DOS_FILE = re.compile(r"\S+\s+\S+\s+[0-9]+ ")
_ARROW = " -> "
_unix = UnixParser()
_dos = MSParser()


def parse_list_line(line: str) -> Entry | None:
    """The entry that a line of LIST tells; None for `.`, `..`, `total N` and an empty line.

    No time is told: LIST has the server's time zone, and minutes or days.

    Args:
        line: without its line end.

    Raises:
        ListingDamaged: the line is of neither form, or its name leads elsewhere.
    """
    if _unix.ignores_line(line):
        return None
    try:
        kind, size, name = _dos_fields(line) if line[:1].isdigit() else _unix_fields(line)
    except (ParserError, ValueError, OverflowError) as error:
        # ftputil lets its own int() fail.
        raise damaged("a line is of no known form", line) from error
    if kind == "directory" and name in (".", ".."):
        return None
    check_name(name, line)
    if size is not None and size < 0:
        raise damaged("a size is negative", line)
    return Entry(name, kind, size)


def names_itself(line: str) -> bool:
    """Whether this line is that of the listed directory itself: the proof that it was read."""
    return line.startswith("d") and line.endswith(" .")


def _unix_fields(line: str) -> tuple[Kind, int | None, str]:
    line = _BEHIND_MODE.sub(r"\1", line)
    words = line.split(None, _DAY_FIELD + 1)
    no_owner = len(words) > _DAY_FIELD and words[_DAY_FIELD].isdigit()
    front = (_WITHOUT_OWNER if no_owner else _WITH_OWNER).match(line)
    if front is None:
        raise ParserError("too few fields")
    told = _unix.parse_line(f"{front[0]}name")
    name = line[front.end() :]
    if stat.S_ISDIR(told.st_mode):
        return "directory", None, name
    if stat.S_ISREG(told.st_mode):
        return "file", int(told.st_size), name
    if not stat.S_ISLNK(told.st_mode):
        return "other", None, name
    if name.count(_ARROW) > 1:
        raise ParserError("it cannot be told where the link's name ends")
    return "link", None, name.partition(_ARROW)[0]


def _dos_fields(line: str) -> tuple[Kind, int | None, str]:
    told = _dos.parse_line(line)
    if stat.S_ISDIR(told.st_mode):
        return "directory", None, told._st_name
    front = _DOS_FILE.match(line)
    if front is None:
        raise ParserError("the size is no number")
    return "file", int(told.st_size), line[front.end() :]
