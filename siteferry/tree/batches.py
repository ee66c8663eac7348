"""Packs directories into directory tasks and files into file tasks."""

from __future__ import annotations

from collections.abc import Sequence

from siteferry.tree.scan import FoundFile, Scan

_MIB = 1024 * 1024


def group_directories(
    scan: Scan, most_files: int = 1024, most_bytes: int = 32 * _MIB
) -> tuple[tuple[str, ...], ...]:
    """Paths of the directories that share one directory task, in the scan's order.

    A directory is never divided: one beyond the limits is a group of its own.

    Args:
        most_files: entries of one group, a directory itself counting as one, for it has to be
            listed even if it is empty.
        most_bytes: content of one group, which comparison may have to read.
    """
    groups: list[tuple[str, ...]] = []
    group: list[str] = []
    group_files = group_bytes = 0
    for directory in scan.directories:
        files = len(directory.files) + 1
        size = sum(found.size for found in directory.files)
        if group and (group_files + files > most_files or group_bytes + size > most_bytes):
            groups.append(tuple(group))
            group, group_files, group_bytes = [], 0, 0
        group.append(directory.path)
        group_files += files
        group_bytes += size
    if group:
        groups.append(tuple(group))
    return tuple(groups)


def make_batches(
    files: Sequence[FoundFile], most_files: int = 64, most_bytes: int = 8 * _MIB
) -> tuple[tuple[FoundFile, ...], ...]:
    """Files that share one file task. One larger than `most_bytes` is alone; the others are packed
    in their order, also across the large ones between them."""
    batches: list[list[FoundFile]] = []
    batch: list[FoundFile] = []
    batch_bytes = 0
    for found in files:
        if found.size > most_bytes:
            batches.append([found])
            continue
        if not batch or len(batch) == most_files or batch_bytes + found.size > most_bytes:
            batch, batch_bytes = [], 0
            batches.append(batch)
        batch.append(found)
        batch_bytes += found.size
    return tuple(tuple(batch) for batch in batches)
