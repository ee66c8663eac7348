"""What the lines of MLSD, MLST and LIST mean (most are the four servers' own, as recorded)."""

from __future__ import annotations

import pytest

from siteferry.errors import ListingDamaged
from siteferry.ftp.facts import (
    Entry,
    parse_described,
    parse_entry,
    parse_facts,
    parse_size,
    parse_time,
)
from siteferry.ftp.list_lines import names_itself, parse_list_line

MTIME = 1_400_000_000
"""20140513165320"""

MLSD_LINES: list[tuple[str, Entry | None]] = [
    # ProFTPD
    ("modify=20140513165320;perm=adfrw;size=5;type=file;unique=FE00U212062;UNIX.group=1;"
     "UNIX.groupname=1;UNIX.mode=0644;UNIX.owner=1;UNIX.ownername=site; f",
     Entry("f", "file", 5, MTIME, "FE00U212062")),
    ("modify=20140513165320;perm=flcdmpe;type=dir;unique=FE00U21205F;UNIX.mode=0755; dir",
     Entry("dir", "directory", None, MTIME, "FE00U21205F")),
    ("modify=20140513165320;perm=;type=dir;unique=FE00U212077;UNIX.mode=00; closed",
     Entry("closed", "directory", None, MTIME, "FE00U212077")),
    ("modify=20140513165320;perm=adfrw;size=3;type=OS.unix=symlink;unique=FE00U21205F; dirlink",
     Entry("dirlink", "link", None, MTIME, "FE00U21205F")),
    ("modify=20140513165320;perm=flcdmpe;type=cdir;unique=FE00U21205E; .", None),
    ("modify=20140513165320;perm=flcdmpe;type=pdir;unique=FE00U212058; ..", None),
    ("type=file;size=1;UNIX.groupname=domain users;UNIX.owner=1; semi;c=d",
     Entry("semi;c=d", "file", 1)),
    # Pure-FTPd
    ("type=OS.unix=slink:;size=1;modify=20140513165320;UNIX.mode=0777;unique=fe00g212064; link",
     Entry("link", "link", None, MTIME, "fe00g212064")),
    ("type=unknown;size=0;modify=20140513165320;UNIX.mode=0644;unique=fe00g212067; fifo",
     Entry("fifo", "other", None, MTIME, "fe00g212067")),
    ("type=cdir;sizd=4096;modify=20140513165320;UNIX.mode=0755;unique=fe00g21205c; .", None),
    ("type=file;size=1;modify=19691231000000; old", Entry("old", "file", 1, -86_400)),
    ("type=file;size=1;modify=21280611085320; late", Entry("late", "file", 1, 5_000_000_000)),
    # pyftpdlib
    ("modify=20140513165320;perm=eldfmMTcp;size=4096;type=dir;unique=fe00g21205a; dir",
     Entry("dir", "directory", None, MTIME, "fe00g21205a")),
    ("modify=20140513165320;perm=radfwMT;size=5;type=file;unique=fe00g212065;  leading",
     Entry(" leading", "file", 5, MTIME, "fe00g212065")),
    # RFC 3659, section 7.7.4, and what others write
    ("Type=file;Size=25730;Modify=19940728095854;Perm=; cap85.txt",
     Entry("cap85.txt", "file", 25730, 775_389_534)),
    ("type=file;size=7;modify=20140513165320.999; f", Entry("f", "file", 7, MTIME)),
    ("TYPE=OS.Unix=slink:/foobar; foo", Entry("foo", "link")),
    ("type=OS.unix=slink:a=b;size=3; l", Entry("l", "link")),
    ("type=OS.unix=chr-13/29; modem", Entry("modem", "other")),
    ("type=OS.unix=socket; s", Entry("s", "other")),
    ("type=dir; .", None),
    ("type=dir; ..", None),
    ("type=cdir; /the/whole/path", None),
    ("type=file; a -> b; c", Entry("a -> b; c", "file")),
    ("type=file; trailing ", Entry("trailing ", "file")),
    ("type=file; lat\udcfcin", Entry("lat\udcfcin", "file")),
]  # fmt: skip


@pytest.mark.parametrize(("line", "entry"), MLSD_LINES)
def test_a_line_of_mlsd_is_its_entry(line: str, entry: Entry | None) -> None:
    assert parse_entry(line) == entry


@pytest.mark.parametrize(
    "line",
    [
        "",
        "f",
        " f",
        "type=file",
        "type=file;",
        "type=file;f",
        "type=file;size=1 f",
        "size=1; f",
        "type=; f",
        "type; f",
        "=file; f",
        "type=file;;size=1; f",
        "type=file;type=dir; f",
        "type=file;TYPE=dir; f",
        "type=file;size=; f",
        "type=file;size=-1; f",
        "type=file;size=+1; f",
        "type=file;size=1.5; f",
        "type=file;size=1_0; f",
        "type=file;size=\u00b2; f",
        "type=file;size=\u0661; f",
        f"type=file;size={'9' * 5000}; f",
        "type=file;modify=; f",
        "type=file;modify=2014; f",
        "type=file;modify=20140513165320Z; f",
        "type=file;modify=20141313165320; f",
        "type=file;modify=20140230165320; f",
        "type=file;modify=20140513245320; f",
        "type=file;modify=00000000000000; f",
        "line two of a name with a line break",
    ],
)
def test_a_malformed_line_is_an_error_and_quoted_within_bounds(line: str) -> None:
    with pytest.raises(ListingDamaged) as error:
        parse_entry(line)
    assert len(str(error.value)) < 1000


@pytest.mark.parametrize(
    "name", ["", ".", "..", "/", "a/b", "/etc/passwd", "../x", "..\\/x", "a\0b", "a\rb", "a\nb"]
)
@pytest.mark.parametrize("kind", ["file", "OS.unix=slink:x", "unknown"])
def test_a_name_that_leads_elsewhere_is_refused(name: str, kind: str) -> None:
    with pytest.raises(ListingDamaged):
        parse_entry(f"type={kind};size=1; {name}")


@pytest.mark.parametrize("name", ["", "/", "a/b", "../x", "a\0b", "a\rb"])
def test_a_directory_that_leads_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(ListingDamaged):
        parse_entry(f"type=dir; {name}")


@pytest.mark.parametrize("name", ["...", "..a", "a..", ".a", "~", "-", "con", "a:b", "a\\b", " "])
def test_a_name_that_is_merely_odd_is_taken(name: str) -> None:
    assert parse_entry(f"type=file; {name}") == Entry(name, "file")


def test_facts_are_found_whatever_their_case() -> None:
    facts, path = parse_facts("TyPe=DIR;UNIX.Mode=0755; /a/b; c")
    assert facts == {"type": "DIR", "unix.mode": "0755"}
    assert path == "/a/b; c"


def test_mlst_names_the_last_segment_of_its_path() -> None:
    """ProFTPD, Pure-FTPd and pyftpdlib answer with the absolute path, behind one space."""
    line = " type=file;size=5;modify=20140513165320;unique=fe00g21205f; /area/ f"
    assert parse_described(line) == Entry(" f", "file", 5, MTIME, "fe00g21205f")
    assert parse_described(" type=cdir;perm=fl; /area/dir") == Entry("dir", "directory")
    for line in (" type=dir; /", " type=dir; /area/..", " type=file; ", "250 End"):
        with pytest.raises(ListingDamaged):
            parse_described(line)


def test_a_time_is_utc_and_its_fraction_is_dropped() -> None:
    assert parse_time("20140513165320") == MTIME
    assert parse_time("20140513165320.9999") == MTIME
    assert parse_time("20161231235960") == 1_483_228_800  # a leap second
    for text in ("", "20140513", "2014-05-13", "20140513165361", "20140513165320.", "x" * 14):
        assert parse_time(text) is None


def test_a_size_is_digits_of_a_64_bit_number() -> None:
    assert parse_size("0") == 0
    assert parse_size(str(2**63 - 1)) == 2**63 - 1
    for text in ("", " 1", "-1", "1e3", "\u0661", "9" * 20):
        assert parse_size(text) is None


# -- LIST ----------------------------------------------------------------------------------------

LIST_LINES: list[tuple[str, Entry | None]] = [
    # vsftpd
    ("-rw-r--r--    1 1        1               5 May 13  2014 f", Entry("f", "file", 5)),
    ("drwxr-xr-x    2 1        1            4096 Nov 24 05:45 dir", Entry("dir", "directory")),
    ("drwxr-xr-x   10 1        1            4096 Nov 24 05:45 .", None),
    ("drwxr-xr-x    3 1        1            4096 Nov 24 05:45 ..", None),
    ("lrwxrwxrwx    1 1        1               3 Nov 24 05:45 dirlink -> dir",
     Entry("dirlink", "link")),
    ("prw-r--r--    1 1        1               0 Nov 24 05:45 fifo", Entry("fifo", "other")),
    ("-rw-r--r--    1 1        1               1 Nov 24 05:45  leading",
     Entry(" leading", "file", 1)),
    ("-rw-r--r--    1 1        1               1 Nov 24 05:45 trailing ",
     Entry("trailing ", "file", 1)),
    ("-rw-r--r--    1 1        1               1 Nov 24 05:45 a -> b", Entry("a -> b", "file", 1)),
    ("-rw-r--r--    1 1        1               1 Nov 24 05:45 a -> b -> c",
     Entry("a -> b -> c", "file", 1)),
    ("-rw-r--r--    1 1        1               1 Nov 24 05:45 total 5",
     Entry("total 5", "file", 1)),
    ("-rw-r--r--    1 1        1               1 Nov 24 05:45 2014 f", Entry("2014 f", "file", 1)),
    ("-rw-r--r--    1 1        1               1 Dec 31  1969 lat\udcfcin",
     Entry("lat\udcfcin", "file", 1)),
    ("d---------    2 1        1            4096 Nov 24 05:45 closed",
     Entry("closed", "directory")),
    # Pure-FTPd, ProFTPD, pyftpdlib
    ("-rw-r--r--    1 1          daemon              5 May 13  2014 f", Entry("f", "file", 5)),
    ("drwxr-xr-x   2 site     1            4096 Nov 24 05:45 *", Entry("*", "directory")),
    ("lrwxrwxrwx   1 daemon   daemon          1 Nov 24 05:45 link -> f", Entry("link", "link")),
    # Others: no owner, access lists, a line of totals, DOS
    ("drwxr-xr-x   2 group   4096 Nov 24 05:45 dir", Entry("dir", "directory")),
    ("-rw-r--r--+  1 a b 6000000000 Nov 24 05:45 big", Entry("big", "file", 6_000_000_000)),
    ("-rw-r--r--.  1 a b 1 Nov 24 05:45 f", Entry("f", "file", 1)),
    ("total 12", None),
    ("", None),
    ("11-24-26  05:45AM       <DIR>          aspnet_client", Entry("aspnet_client", "directory")),
    ("11-24-2026  05:45PM                 1234 web.config", Entry("web.config", "file", 1234)),
    ("11-24-26  05:45PM                 1234  leading", Entry(" leading", "file", 1234)),
    ("11-24-26  05:45AM       <DIR>          ..", None),
]  # fmt: skip


@pytest.mark.parametrize(("line", "entry"), LIST_LINES)
def test_a_line_of_list_is_its_entry_without_a_time(line: str, entry: Entry | None) -> None:
    assert parse_list_line(line) == entry


@pytest.mark.parametrize(
    "line",
    [
        "f",
        "-rw-r--r-- 1 1 1 1 Nov 24 05:45",
        "-rw-r--r-- 1 1 1 1 Nov 24 05:45 ",
        "-rw-r--r-- 1 1 1 x Nov 24 05:45 f",
        "-rw-r--r-- 1 1 1 -1 Nov 24 05:45 f",
        "-rw-r--r-- 1 1 1 1 Foo 24 05:45 f",
        "-rw-r--r-- 1 1 1 1 Nov 99 05:45 f",
        "-rw-r--r-- 1 1 1 1 Nov 24 5:4:5 f",
        "-rw-r--r-- 1 1 1 1 Nov 24 99999999999999999999 f",
        f"-rw-r--r-- 1 1 1 {'9' * 5000} Nov 24 05:45 f",
        "Xrw-r--r-- 1 1 1 1 Nov 24 05:45 f",
        "lrwxrwxrwx 1 1 1 1 Nov 24 05:45 a -> b -> c",
        "-rw-r--r-- 1 1 1 1 Nov 24 05:45 .",
        "-rw-r--r-- 1 1 1 1 Nov 24 05:45 a/b",
        "-rw-r--r-- 1 1 1 1 Nov 24 05:45 /etc/passwd",
        "-rw-r--r-- 1 1 1 1 Nov 24 05:45 a\rb",
        "-rw-r--r-- 1 1 1 1 Nov 24 05:45 a\0b",
        "lrwxrwxrwx 1 1 1 1 Nov 24 05:45 .. -> /etc",
        "11-24-26  05:45AM  many  f",
        "11-24-26  05:45AM  <DIR>",
        "11-24-26  05:45AM  -5 f",
        "11-24  05:45AM  5 f",
        "24  x",
        "/area/*:",
    ],
)
def test_a_line_of_list_that_makes_no_sense_is_an_error(line: str) -> None:
    with pytest.raises(ListingDamaged):
        parse_list_line(line)


def test_the_listed_directory_itself_is_recognised() -> None:
    assert names_itself("drwxr-xr-x   10 1        1            4096 Nov 24 05:45 .")
    assert not names_itself("drwxr-xr-x    3 1        1            4096 Nov 24 05:45 ..")
    assert not names_itself("-rw-r--r--    1 1        1               1 Nov 24 05:45 .")
    assert not names_itself("drwxr-xr-x    3 1        1            4096 Nov 24 05:45 a.")
