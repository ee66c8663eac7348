"""Remote directories listed one after the other: three round trips for each.

A listing is whole or it is an error, for files are deleted on its strength. The servers make that
hard (docs/servers.md): some answer "226" and nothing for a directory that is missing, or that they
cannot read; Pure-FTPd "226" and the first 10,000 names. So the words of a 226 count, too, and an
empty answer is looked into before it is believed.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from siteferry.errors import ListingDamaged, PathRefused, SiteferryError
from siteferry.ftp.facts import Entry, parse_entry
from siteferry.ftp.list_lines import names_itself, parse_list_line
from siteferry.ftp.receive import receive, refused_reading
from siteferry.ftp.replies import Reply, error_for
from siteferry.ftp.session import Session
from siteferry.ftp.transfer import open_transfer
from siteferry.tree.paths import shown

LARGEST_LISTING_BYTES = 64 * 1024 * 1024
MOST_ENTRIES = 1_000_000
LONGEST_LINE_BYTES = 8192
"""Linux has paths of 4,096 bytes; the rest is for facts."""

# Pure-FTPd 1.0.50: "226 Output truncated to 10000 matches" and "226-Sorry, we were unable to read
# [.]"; vsftpd 3.0.3: "226 Transfer done (but failed to open directory)."
_CUT_SHORT = re.compile(r"truncated|unable to read|failed to open", re.IGNORECASE)
_DOTS = "-a"
_PLAIN = "."


def list_directories(
    session: Session, paths: Iterable[str]
) -> Iterator[tuple[str, list[Entry] | SiteferryError]]:
    """List directories one after the other, by MLSD (RFC 3659), or by LIST where there is none.

    Args:
        session: a session in sync; between two listings it is so again, and the caller may stop.
        paths: absolute remote paths, read lazily.

    Returns:
        Each path with its entries, in the server's order and without `.` and `..`, or with the
        error: a refusal; PathRefused where the path cannot be sent; ListingDamaged where the
        listing makes no sense, is larger than the bounds above (the session is lost then), or is
        not believed.

    Raises:
        SessionLost: the session is suspect.
        TlsFailed: the data connection's handshake failed.
    """
    lister: Callable[[str], list[Entry] | SiteferryError] = (
        _ByMlsd(session).entries if _has_mlsd(session) else _ByList(session).entries
    )
    for path in paths:
        yield path, lister(path)


def without_followed_links(session: Session, path: str, entries: Sequence[Entry]) -> list[Entry]:
    """`entries` of `path`, with links among the directories told as links: before something is
    deleted in a directory, that must not be another one's. MLSD of pyftpdlib follows links, and RFC
    3659 lets every server do so; LIST shows them. A directory that LIST does not show is left out.

    Raises:
        SiteferryError: LIST could not be had whole.
    """
    if not any(entry.kind == "directory" for entry in entries) or not _has_mlsd(session):
        return list(entries)
    listed = _ByList(session).entries(path)
    if isinstance(listed, SiteferryError):
        raise listed
    kinds = {entry.name: entry.kind for entry in listed}
    return [
        replace(entry, kind=kinds[entry.name]) if entry.kind == "directory" else entry
        for entry in entries
        if entry.kind != "directory" or entry.name in kinds
    ]


def _has_mlsd(session: Session) -> bool:
    return not session.profile.features.isdisjoint(("MLST", "MLSD"))


@dataclass(frozen=True, slots=True)
class _ByMlsd:
    session: Session

    def entries(self, path: str) -> list[Entry] | SiteferryError:
        _, content = _fetch(self.session, "MLSD", path, path)
        if isinstance(content, SiteferryError):
            return content
        found = _parsed(self.session, content, path, parse_entry)
        if found:
            return found
        # ProFTPD 1.3.8 and pyftpdlib leave out what they cannot look at, which in a directory that
        # may be read but not entered (mode 0444) is everything.
        entered = self.session.burst([f"CWD {path}"])[0]
        return found if entered.ok else _refusal(entered, path)


@dataclass(slots=True)
class _Listed:
    """What LIST gave of a directory that was entered. `itself`: its own line was there."""

    entries: list[Entry]
    itself: bool = False
    refusal: SiteferryError | None = None

    @property
    def is_nothing(self) -> bool:
        return not (self.entries or self.itself or (self.refusal and self.refusal.transient))


@dataclass(slots=True)
class _ByList:
    """By CWD and LIST without a path, for in a path of LIST some servers see patterns and options:
    Pure-FTPd takes what stands behind a space for another path, and ProFTPD expands `*`."""

    session: Session
    option: str = _DOTS
    """`-a` shows names that begin with a dot; `.` where the server knows no options."""
    lists_itself: bool | None = None
    """Whether this server lists `.`; None: not known yet."""

    def entries(self, path: str) -> list[Entry] | SiteferryError:
        listed = self._ask(path)
        if isinstance(listed, SiteferryError):
            return listed
        if self.option == _DOTS and not self.lists_itself and listed.is_nothing:
            listed = self._ask_without_option(path, listed)
        if listed.refusal:
            return listed.refusal
        if listed.entries or listed.itself or not self._lists_itself():
            return listed.entries
        # ProFTPD, which says "226 Transfer complete".
        return ListingDamaged(
            f"the server lists nothing of {shown(path)}, not even the directory itself, so it "
            "could not read it",
            next_step="Give the FTP account permission to read it.",
        )

    def _ask(self, path: str) -> _Listed | SiteferryError:
        entered, content = _fetch(self.session, "LIST", self.option, path, [f"CWD {path}"])
        if entered and not entered[0].ok:
            # What was listed is the directory where the session stood.
            return _refusal(entered[0], path)
        if isinstance(content, SiteferryError):
            return _Listed([], refusal=content) if entered else content
        itself = False

        def parse(line: str) -> Entry | None:
            nonlocal itself
            itself = itself or names_itself(line)
            return parse_list_line(line)

        entries = _parsed(self.session, content, path, parse)
        if isinstance(entries, SiteferryError):
            return entries
        if itself:
            self.lists_itself = True
        return _Listed(entries, itself)

    def _ask_without_option(self, path: str, before: _Listed) -> _Listed:
        """A server that takes "-a" for a path refuses, or lists nothing."""
        self.option = _PLAIN
        listed = self._ask(path)
        if isinstance(listed, _Listed) and (listed.entries or listed.itself):
            return listed  # and the option stays away
        self.option = _DOTS
        return before

    def _lists_itself(self) -> bool:
        if self.lists_itself is None:
            root = self._ask("/")
            # Where even the root cannot be listed, nothing that is empty is believed.
            self.lists_itself = not isinstance(root, _Listed) or bool(root.refusal) or root.itself
        return self.lists_itself


def _fetch(
    session: Session, verb: str, argument: str, path: str, prelude: Sequence[str] = ()
) -> tuple[list[Reply], io.BytesIO | SiteferryError]:
    """The replies to `prelude`, and what the server sends or why it does not."""
    content = io.BytesIO()

    def take(chunk: memoryview) -> None:
        if content.tell() + len(chunk) > LARGEST_LISTING_BYTES:
            raise ListingDamaged(
                f"the listing of {shown(path)} is larger than {LARGEST_LISTING_BYTES} bytes"
            )
        content.write(chunk)

    try:
        opening = open_transfer(session, verb, argument, _doing(path), prelude, confirmed=True)
        if opening.refusal:
            return opening.prelude, refused_reading(opening.refusal)
        ending = receive(session, opening.connection(), _doing(path), take)
    except (PathRefused, ListingDamaged) as error:
        return [], error
    if isinstance(ending, SiteferryError):
        return opening.prelude, ending
    if _CUT_SHORT.search(ending.told):
        return opening.prelude, ListingDamaged(
            f"the server does not list all of {shown(path)}",
            reply=ending.told,
            next_step="Ask the host to lift its limit (Pure-FTPd: LimitRecursion), or give the FTP "
            "account permission to read the directory.",
        )
    content.seek(0)
    return opening.prelude, content


def _parsed(
    session: Session,
    content: io.BytesIO,
    path: str,
    parse: Callable[[str], Entry | None],
) -> list[Entry] | ListingDamaged:
    entries: list[Entry] = []
    for line in content:
        if not line.endswith(b"\n") or len(line) > LONGEST_LINE_BYTES:
            return ListingDamaged(
                f"the listing of {shown(path)} has a line without an end, or a very long one"
            )
        # With surrogates for what is not of the encoding: other than a replacement they give the
        # same bytes when the name is sent back, and file names of ours are read in this way too.
        text = line[:-1].removesuffix(b"\r").decode(session.encoding, "surrogateescape")
        try:
            entry = parse(text)
        except ListingDamaged as error:
            return ListingDamaged(f"{_doing(path)}: {error.message}", reply=error.reply)
        if entry:
            entries.append(entry)
        if len(entries) > MOST_ENTRIES:
            return ListingDamaged(f"{shown(path)} has more than {MOST_ENTRIES} entries")
    return entries


def _refusal(reply: Reply, path: str) -> SiteferryError:
    return refused_reading(error_for(reply, _doing(path)))


def _doing(path: str) -> str:
    return f"listing {shown(path)}"
