"""The websites that are sent."""

from __future__ import annotations

import random
from pathlib import Path

from tests.wordpress import wordpress_tree

LARGE_MIB = 512
MANY_DIRECTORIES = 200
MANY_FILES = 20_000
SMALL_BYTES = 1000
_MIB = 1 << 20

TITLES = {
    "wordpress": "WordPress",
    "large": f"one file of {LARGE_MIB} MiB",
    "many": f"{MANY_FILES:,} files of 1 kB",
}


def make_tree(name: str, folder: Path, share: float = 1.0) -> Path:
    """The tree `name` of TITLES; what has to be made is made below `folder`, once.

    Args:
        share: of its size, for a quick run; WordPress is always whole.
    """
    if name == "wordpress":
        return wordpress_tree()
    tree = folder / name
    if not tree.exists():
        tree.mkdir(parents=True)
        # Known content, which nothing can compress.
        source = random.Random(name)
        if name == "large":
            with (tree / "video.mp4").open("wb") as file:
                for _ in range(int(LARGE_MIB * share)):
                    file.write(source.randbytes(_MIB))
        else:
            _make_many(tree, source, int(MANY_FILES * share))
    return tree


def _make_many(tree: Path, source: random.Random, files: int) -> None:
    each = MANY_FILES // MANY_DIRECTORIES
    for number in range(files):
        directory = tree / f"directory-{number // each:03}"
        if number % each == 0:
            directory.mkdir()
        (directory / f"page-{number % each:03}.html").write_bytes(source.randbytes(SMALL_BYTES))
