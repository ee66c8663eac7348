"""Which files of a directory differ from what was published last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from siteferry.errors import SourceChanged, SourceUnreadable
from siteferry.tree.content_hashes import ContentHashes
from siteferry.tree.manifest import Entry
from siteferry.tree.paths import split
from siteferry.tree.scan import Failure, FoundDirectory, FoundFile


@dataclass(frozen=True, slots=True)
class Comparison:
    """Every file of the directory, in exactly one of three places."""

    changed: tuple[FoundFile, ...]
    unchanged: tuple[FoundFile, ...]
    failures: tuple[Failure, ...]


def compare(
    directory: FoundDirectory, previous: Mapping[str, Entry], hashes: ContentHashes
) -> Comparison:
    """Compare by size first and by content where the size is the same; never by time, because
    every file of a fresh checkout has a new one.

    Args:
        previous: what was published in this directory, by name (not by path).
        hashes: gives the digests of local files.
    """
    changed: list[FoundFile] = []
    alike: list[FoundFile] = []
    for found in directory.files:
        entry = previous.get(split(found.path)[1])
        (changed if entry is None or entry.size != found.size else alike).append(found)
    unchanged: list[FoundFile] = []
    failures: list[Failure] = []
    for found, digest in zip(alike, hashes.digests(alike), strict=True):
        if isinstance(digest, SourceUnreadable):
            failures.append((found.path, digest))
            continue
        # One that is being written to: the transfer reads it anew, and judges what it then reads.
        same = (
            not isinstance(digest, SourceChanged)
            and digest.sha256 == previous[split(found.path)[1]].sha256
        )
        (unchanged if same else changed).append(found)
    order = {found.path: number for number, found in enumerate(directory.files)}
    changed.sort(key=lambda found: order[found.path])
    return Comparison(tuple(changed), tuple(unchanged), tuple(failures))
