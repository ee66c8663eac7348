"""What stands in a few remote directories, for a comparison with the server itself, and for finding
what only the server has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from siteferry.dispatch.work import Work
from siteferry.errors import SiteferryError
from siteferry.ftp.checksums import download_digest, remote_digests
from siteferry.ftp.directories import present_directories
from siteferry.ftp.facts import Entry
from siteferry.ftp.listing import list_directories, without_followed_links
from siteferry.ftp.reading_only import reading_only
from siteferry.ftp.session import Session
from siteferry.ftp.times import remote_times
from siteferry.tree.clock_offset import ServerClock, learn_offset
from siteferry.tree.content_digest import ContentDigest
from siteferry.tree.found import Scan
from siteferry.tree.paths import join, split
from siteferry.tree.remote_compare import RemoteFile, times_of_pairs


@dataclass(frozen=True, slots=True)
class Look:
    """Remote directories by published path; one that is not there is absent.

    times: of files whose listing tells none. digests: of files whose content is compared.
    """

    directories: Mapping[str, Sequence[Entry]] = field(default_factory=dict)
    times: Mapping[str, int | None] = field(default_factory=dict)
    digests: Mapping[str, ContentDigest] = field(default_factory=dict)
    clock: ServerClock = field(default_factory=ServerClock)

    def files(self, path: str) -> dict[str, RemoteFile]:
        """What stands in one of them as a file, by name."""
        return {
            e.name: RemoteFile(e.size, e.mtime if e.mtime is not None else self._time(path, e))
            for e in self.directories.get(path, ())
            if e.kind == "file"
        }

    def names(self, path: str) -> AbstractSet[str]:
        """The names of those files."""
        return {e.name for e in self.directories.get(path, ()) if e.kind == "file"}

    def _time(self, directory: str, entry: Entry) -> int | None:
        return self.times.get(join(directory, entry.name))


def look_at(
    work: Work,
    paths: Sequence[str],
    found: Scan,
    comparison: str,
    wanted: AbstractSet[str] | None = None,
) -> Look:
    """List directories of the website, and ask what `comparison` needs beyond that.

    Args:
        found: the same directories of the source.
        wanted: where things are to be deleted, all directories of the source: the others are
            looked at more closely.

    Raises:
        SiteferryError: one of them is there and could not be listed whole.
    """
    with work.session() as session, reading_only(session):
        look = Look(_listed(work, session, paths, wanted))
        if comparison in ("listing", "mtime"):
            return _with_times(work, session, look, found)
        if comparison == "checksum":
            return Look(look.directories, digests=_digests(work, session, look, found))
    return look


def _listed(
    work: Work, session: Session, paths: Sequence[str], wanted: AbstractSet[str] | None
) -> dict[str, Sequence[Entry]]:
    remote = {work.base.live(path): path for path in paths}
    there = present_directories(session, list(remote))
    directories: dict[str, Sequence[Entry]] = {}
    for path, entries in list_directories(session, [r for r in remote if r in there]):
        if isinstance(entries, SiteferryError):
            raise entries
        published = remote[path]
        if wanted is not None and any(
            e.kind == "directory" and join(published, e.name) not in wanted for e in entries
        ):
            entries = without_followed_links(session, path, entries)
        directories[published] = entries
        work.moved()
    return directories


def _with_times(work: Work, session: Session, look: Look, found: Scan) -> Look:
    """The times that the listing lacks, for files whose time decides, and the server's clock."""
    alike = list(_same_size(look, found))
    untold = [path for path, remote in alike if remote.mtime is None]
    told = remote_times(session, [work.base.live(path) for path in untold])
    known = Look(look.directories, {path: told[work.base.live(path)] for path in untold})
    pairs = (
        pair
        for directory in found.directories
        for pair in times_of_pairs(directory, known.files(directory.path))
    )
    return Look(known.directories, known.times, clock=ServerClock(learn_offset(pairs)))


def _digests(work: Work, session: Session, look: Look, found: Scan) -> dict[str, ContentDigest]:
    """By the server's own hash commands where it has them, else of the content itself."""
    alike = dict(_same_size(look, found))
    remote = {work.base.live(path): path for path in alike}
    digests: dict[str, ContentDigest] = {}
    for path, told in remote_digests(session, list(remote)).items():
        work.check()
        work.go_on()
        published = remote[path]
        digests[published] = told or download_digest(session, path, alike[published].size)
    return digests


def _same_size(look: Look, found: Scan) -> Iterator[tuple[str, RemoteFile]]:
    for directory in found.directories:
        remote = look.files(directory.path)
        for file in directory.files:
            there = remote.get(split(file.path)[1])
            if there is not None and there.size in (None, file.size):
                yield file.path, there
