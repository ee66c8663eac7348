"""What a publish deletes: decided from what was published, what is in the source, and the rules."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from siteferry.errors import SafetyLimit
from siteferry.tree.found import Scan
from siteferry.tree.manifest import Manifest
from siteferry.tree.selection import Selection


@dataclass(frozen=True, slots=True)
class Removal:
    """Files to delete, and the directories that go with them unless something else is in them."""

    files: tuple[str, ...] = ()
    directories: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.files or self.directories)

    def joined(self, files: Iterable[str], directories: Iterable[str]) -> Removal:
        """This and more, each once, in the order in which they are carried out."""
        return Removal(
            tuple(sorted({*self.files, *files})),
            # Children come before their parents in the reverse order of paths.
            tuple(sorted({*self.directories, *directories}, reverse=True)),
        )


def gone_from_source(previous: Manifest, found: Scan, selection: Selection) -> Removal:
    """What siteferry has published and the source does not have any more.

    What could not be looked at in the source counts as being there.
    """
    files = {file.path for directory in found.directories for file in directory.files}
    directories = {directory.path for directory in found.directories}
    whole = not found.unseen

    def is_gone(path: str, is_directory: bool) -> bool:
        return (whole or found.covers(path)) and selection.may_delete(path, is_directory)

    left_files = (p for p in previous.files if p not in files and p not in directories)
    gone = [p for p in left_files if is_gone(p, False)]
    left = previous.directories - directories - files - {""}
    emptied = () if selection.is_partial else [p for p in left if is_gone(p, True)]
    return Removal().joined(gone, emptied)


def check_limit(count: int, allowed: int, known: int, limit: str) -> None:
    """Stop a run that would delete more files than it may.

    Args:
        count: files that it would delete; known: files that it was to keep in order.
        limit: as it is configured, for the message.

    Raises:
        SafetyLimit: they are more than `allowed`.
    """
    if count > allowed:
        raise SafetyLimit(
            f"{count} of {known} files would be deleted, and delete.max is {limit} ({allowed} "
            "files); nothing was changed",
            next_step="Look at it with `siteferry plan SITE`, then lift the limit for once: "
            f"--max-delete {count}.",
        )
