"""What was found in the sources: facts, and what could not be found out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, TypeAlias

from siteferry.errors import SourceError
from siteferry.tree.paths import parents

Failure: TypeAlias = tuple[str, SourceError]


@dataclass(frozen=True, slots=True)
class SourceRoot:
    """A local directory and where it is published: the root, or below one name (`prefix`)."""

    local: Path
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file to publish. `local` is absolute, with links resolved; `size` in bytes, `mtime` in
    seconds since 1970 UTC, rounded down."""

    path: str
    local: str
    size: int
    mtime: int


@dataclass(frozen=True, slots=True)
class FoundDirectory:
    """A directory to publish and the files directly in it, sorted by path."""

    path: str
    files: tuple[FoundFile, ...]


@dataclass(frozen=True, slots=True)
class Scan:
    """Directories sorted by path, so that parents come before children, and what was not found out.

    Paths of failures are fit for messages: what is not printable in one is escaped. `unseen` has
    the same paths as they are, bytes that are no UTF-8 as surrogates (PEP 383).
    """

    directories: tuple[FoundDirectory, ...]
    failures: tuple[Failure, ...]
    warnings: tuple[str, ...]
    unseen: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        # A failure whose path needs no escaping need not be told twice.
        object.__setattr__(self, "unseen", self.unseen | {path for path, _ in self.failures})

    @property
    def files(self) -> int:
        return sum(len(directory.files) for directory in self.directories)

    @property
    def bytes(self) -> int:
        return sum(found.size for directory in self.directories for found in directory.files)

    def without(self, paths: Iterable[str]) -> Scan:
        """The same without `paths` and what lies below them."""
        left_out = set(paths)
        if not left_out:
            return self

        def stays(path: str) -> bool:
            return left_out.isdisjoint((path, *parents(path)))

        directories = (
            FoundDirectory(d.path, tuple(f for f in d.files if f.path not in left_out))
            for d in self.directories
            if not d.path or stays(d.path)
        )
        return replace(self, directories=tuple(directories))

    def covers(self, path: str) -> bool:
        """Whether the absence of `path` here means that it is not in the source: nothing failed at
        it or at a directory above it. Only then may it count as deleted."""
        return self.unseen.isdisjoint(("", *parents(path), path))


class Listing(NamedTuple):
    """One directory without descent; `directory` is None where no source could be listed."""

    directory: FoundDirectory | None
    subdirectories: tuple[str, ...]
    failures: tuple[Failure, ...]
    warnings: tuple[str, ...]
