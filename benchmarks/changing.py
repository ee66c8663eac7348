"""A copy of WordPress in which one file changes from run to run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from tests.wordpress import wordpress_tree

CHANGED_FILE = "wp-includes/version.php"
_LATER_SECONDS = 60


class ChangingTree:
    """`path` is the copy. Each change also makes the file a minute younger, so that clients that
    compare by time see it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        shutil.copytree(wordpress_tree(), path)
        self._file = path / CHANGED_FILE
        self._mtime = int(self._file.stat().st_mtime)

    def nothing(self) -> None:
        """Change nothing."""

    def content(self) -> None:
        """Other bytes, as many as before."""
        content = self._file.read_bytes()
        # The last byte is a line's end, or what an earlier call has put there.
        self._write(content[:-1] + (b" " if content.endswith(b"\n") else b"\n"))

    def size(self) -> None:
        """One byte more."""
        self._write(self._file.read_bytes() + b"\n")

    def _write(self, content: bytes) -> None:
        self._file.write_bytes(content)
        self._mtime += _LATER_SECONDS
        os.utime(self._file, (self._mtime, self._mtime))


CHANGES: dict[str, tuple[Callable[[ChangingTree], None], int]] = {
    "unchanged": (ChangingTree.nothing, 0),
    "one file, same size": (ChangingTree.content, 1),
    "one file, new size": (ChangingTree.size, 1),
}
"""What is done to the tree before a run, and how many files that run has to send."""
