"""Which files of a directory differ from what was published last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from siteferry.errors import SourceChanged, SourceUnreadable
from siteferry.tree.manifest import Entry
from siteferry.tree.paths import split
from siteferry.tree.reading import hash_file
from siteferry.tree.scan import Failure, FoundDirectory, FoundFile


@dataclass(frozen=True, slots=True)
class Comparison:
    """Every file of the directory, in exactly one of three places."""

    changed: tuple[FoundFile, ...]
    unchanged: tuple[FoundFile, ...]
    failures: tuple[Failure, ...]


def compare(directory: FoundDirectory, previous: Mapping[str, Entry]) -> Comparison:
    """Compare by size first and by content where the size is the same; never by time, because
    every file of a fresh checkout has a new one.

    Args:
        previous: what was published in this directory, by name (not by path).
    """
    changed: list[FoundFile] = []
    unchanged: list[FoundFile] = []
    failures: list[Failure] = []
    for found in directory.files:
        entry = previous.get(split(found.path)[1])
        if entry is None or entry.size != found.size:
            changed.append(found)
            continue
        try:
            same = hash_file(found).sha256 == entry.sha256
        except SourceChanged:
            # It is being written to: the transfer reads it anew, and judges what it then reads.
            same = False
        except SourceUnreadable as error:
            failures.append((found.path, error))
            continue
        (unchanged if same else changed).append(found)
    return Comparison(tuple(changed), tuple(unchanged), tuple(failures))
