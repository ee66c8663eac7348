"""One look at the local sources, and the policy of what of them is published:

- Several sources merge; where two hold the same file, the later one's is published, with a warning.
- A symbolic link stands for what it points to, if that lies inside a source of the same website:
  a file's content, or a directory that is followed. A link that leads out is refused. One that
  leads nowhere, or back to a directory that it lies in, is skipped with a warning.
- What is neither file nor directory (FIFO, socket, device) is skipped with a warning.
- What cannot be looked at or may not be published is a failure of its path, never silently absent.

Files are not opened here; one that cannot be read is found when it is read.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from siteferry.errors import (
    ConfigurationError,
    PathRefused,
    SourceChanged,
    SourceError,
    SourceUnreadable,
)
from siteferry.tree.found import Failure, FoundDirectory, FoundFile, Scan, SourceRoot
from siteferry.tree.paths import check_path, join, parents, shown, split
from siteferry.tree.rules import IGNORE_FILE, Rules


@dataclass(frozen=True, slots=True)
class _Source:
    """A source with its real path, and the rules with those of its own ignore file."""

    root: str
    prefix: str
    rules: Rules


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A local directory that a published one is read from, and through which others it was reached.

    `real` is empty for the published root where the source is published below a prefix.
    """

    source: _Source
    real: str
    above: Place | None = None

    def lies_in(self, real: str) -> bool:
        """Whether the walk is in the directory `real` already."""
        place: Place | None = self
        while place:
            if place.real == real:
                return True
            place = place.above
        return False


_Seen: TypeAlias = FoundFile | Place


class Walk:
    """One look at the sources; gathers failures and warnings."""

    def __init__(self, sources: Sequence[SourceRoot], rules: Rules) -> None:
        if not sources:
            raise ConfigurationError(
                "the website has no source to publish",
                next_step="Name at least one directory under 'sources'.",
            )
        self._sources = tuple(_open_source_root(source, rules) for source in sources)
        self._known: dict[str, tuple[Place, ...]] = {
            "": tuple(Place(s, "" if s.prefix else s.root) for s in self._sources)
        }
        self._failures: list[Failure] = []
        self._unseen: set[str] = set()
        self._warnings: list[str] = []

    def result(self, directories: Iterable[FoundDirectory]) -> Scan:
        return Scan(
            tuple(sorted(directories, key=lambda directory: directory.path)),
            tuple(sorted(self._failures, key=lambda failure: failure[0])),
            tuple(sorted(self._warnings)),
            frozenset(self._unseen),
        )

    def read(
        self, path: str, places: tuple[Place, ...]
    ) -> tuple[FoundDirectory | None, Mapping[str, tuple[Place, ...]]]:
        """List one published directory: its files, and its subdirectories with their places."""
        seen: dict[str, list[_Seen]] = {}
        readable = False
        for place in places:
            try:
                for child, item in self._entries(path, place):
                    seen.setdefault(child, []).append(item)
                readable = True
            except OSError as error:
                self._fail(path, _unreadable(path, "listed", error))
        if not readable:
            return None, {}
        files = []
        subdirectories = {}
        for child, items in sorted(seen.items()):
            merged = self._merge(child, items)
            if isinstance(merged, FoundFile):
                files.append(merged)
            elif merged:
                subdirectories[child] = merged
        return FoundDirectory(path, tuple(files)), subdirectories

    def read_again(
        self, path: str
    ) -> tuple[FoundDirectory | None, Mapping[str, tuple[Place, ...]]]:
        """As `read`, for a path that some earlier walk has come to."""
        places = self.places(path)
        if places:
            return self.read(path, places)
        self._fail(
            path,
            SourceChanged(
                f"{shown(path)} was a directory of the source and is none any more",
                next_step="Run the import again when nothing else changes the source.",
            ),
        )
        return None, {}

    def places(self, path: str) -> tuple[Place, ...]:
        """Where a published directory is read from; nothing, if `scan` would not come to it."""
        for step in (*parents(path), path):
            if step not in self._known:
                self._known[step] = self._step(step)
        return self._known[path]

    def _step(self, path: str) -> tuple[Place, ...]:
        directory, name = split(path)
        seen: list[_Seen] = []
        for place in self._known[directory]:
            try:
                item = self._entry(path, name, place)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                self._fail(path, _unreadable(path, "looked at", error))
                continue
            if item:
                seen.append(item)
        merged = self._merge(path, seen) if seen else ()
        return () if isinstance(merged, FoundFile) else merged

    def _entries(self, path: str, place: Place) -> Iterator[tuple[str, _Seen]]:
        """What one source has in a published directory. Raises OSError as soon as the listing
        breaks off, before anything of it is given: half a listing is none."""
        if not place.real:
            prefix = place.source.prefix
            if item := self._entry(prefix, prefix, place):
                yield prefix, item
            return
        with os.scandir(place.real) as listing:
            entries = list(listing)
        for entry in entries:
            child = join(path, _published(entry.name))
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError as error:
                if not place.source.rules.is_excluded(child, is_directory=False):
                    self._fail(child, _unreadable(child, "looked at", error))
                continue
            if item := self._look(place, child, entry.path, status):
                yield child, item

    def _entry(self, path: str, name: str, place: Place) -> _Seen | None:
        """What one source has under one name. Raises OSError where it cannot be looked at."""
        if place.real:
            local = f"{place.real.rstrip('/')}/{_local(name)}"
            return self._look(place, path, local, os.lstat(local))
        if name != place.source.prefix or place.source.rules.is_excluded(path, is_directory=True):
            return None
        return Place(place.source, place.source.root, place)

    def _look(self, place: Place, path: str, local: str, status: os.stat_result) -> _Seen | None:
        """Judge one entry by the policy; `status` is its own, not that of a link's target."""
        excluded = place.source.rules.is_excluded
        real = local
        if linked := stat.S_ISLNK(status.st_mode):
            try:
                status = os.stat(local)  # noqa: PTH116  # these paths are text for speed
                real = os.path.realpath(local)
            except OSError as error:
                if not excluded(path, is_directory=False):
                    self._dead_link(path, local, error)
                return None
        is_directory = stat.S_ISDIR(status.st_mode)
        if excluded(path, is_directory):
            if split(path)[1] == IGNORE_FILE and place.real != place.source.root:
                self._warn(path, "has no effect: only the one at the source root is read")
            return None
        try:
            check_path(path)
        except PathRefused as error:
            self._fail(path, error)
            return None
        if linked and not self._is_inside(real):
            refused = PathRefused(
                f"{shown(path)} is a symbolic link that leads out of the source, to {shown(real)}",
                next_step="Put what it points to into the source, or exclude the link.",
            )
            self._fail(path, refused)
            return None
        if is_directory:
            if place.lies_in(real):
                self._warn(path, "is a link to a directory that it lies in: skipped")
                return None
            return Place(place.source, real, place)
        if not stat.S_ISREG(status.st_mode):
            self._warn(path, f"is a {_kind(status.st_mode)}: skipped")
            return None
        return FoundFile(path, real, status.st_size, status.st_mtime_ns // 1_000_000_000)

    def _merge(self, path: str, items: Sequence[_Seen]) -> FoundFile | tuple[Place, ...]:
        """One published path from what the sources have there, in their order."""
        places = tuple(item for item in items if isinstance(item, Place))
        files = [item for item in items if isinstance(item, FoundFile)]
        if not files:
            return places
        if places:
            refused = PathRefused(
                f"{shown(path)} is a file in one source ({shown(files[-1].local)}) and a directory"
                f" in another ({shown(places[-1].real)})",
                next_step="Rename or exclude one of them.",
            )
            self._fail(path, refused)
            return ()
        if len(files) > 1:
            self._warn(path, f"is in several sources: {shown(files[-1].local)} is published")
        return files[-1]

    def _is_inside(self, real: str) -> bool:
        return any(
            real == source.root or real.startswith(source.root.rstrip("/") + "/")
            for source in self._sources
        )

    def _dead_link(self, path: str, local: str, error: OSError) -> None:
        if error.errno == errno.ELOOP:
            self._warn(path, "is a symbolic link that leads back to itself: skipped")
        elif error.errno in (errno.ENOENT, errno.ENOTDIR):
            target = shown(os.readlink(local))  # noqa: PTH115  # as above
            self._warn(path, f"is a symbolic link to nowhere ({target}): skipped")
        else:
            self._fail(path, _unreadable(path, "followed", error))

    def _fail(self, path: str, error: SourceError) -> None:
        self._failures.append((shown(path), error))
        self._unseen.add(path)

    def _warn(self, path: str, what: str) -> None:
        self._warnings.append(f"{shown(path)} {what}")


def _open_source_root(source: SourceRoot, rules: Rules) -> _Source:
    if source.prefix:
        check_path(source.prefix)
        if "/" in source.prefix:
            raise ConfigurationError(
                f"the source {source.local} cannot be published as {source.prefix}",
                next_step="A source is published in the root or below one name.",
            )
    try:
        real = source.local.resolve(strict=True)
        is_directory = real.is_dir()
    except (OSError, RuntimeError) as error:  # RuntimeError: a link that leads back to itself
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigurationError(
            f"the source directory {source.local} cannot be used: {reason}",
            next_step="Every worker must see it at this path.",
        ) from error
    if not is_directory:
        raise ConfigurationError(
            f"the source {source.local} is not a directory",
            next_step="Name the directory that holds the website's files.",
        )
    return _Source(str(real), source.prefix, rules.in_source(real, source.prefix))


def _published(name: str) -> str:
    """A local name as text: its bytes as UTF-8, whatever encoding the process' locale has."""
    if name.isascii():
        return name
    return os.fsencode(name).decode("utf-8", "surrogateescape")


def _local(name: str) -> str:
    return name if name.isascii() else os.fsdecode(name.encode("utf-8", "surrogateescape"))


def _unreadable(path: str, what: str, error: OSError) -> SourceUnreadable:
    failure = SourceUnreadable(
        f"{shown(path) or 'the source directory'} cannot be {what}: {error.strerror}",
        next_step="Make it readable for the user that the worker runs as, or exclude it.",
    )
    failure.__cause__ = error
    return failure


def _kind(mode: int) -> str:
    if stat.S_ISFIFO(mode):
        return "FIFO"
    return "socket" if stat.S_ISSOCK(mode) else "device"
