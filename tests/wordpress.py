"""The real website of the tests and benchmarks: WordPress, as Debian packages it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.servers.binaries import REPOSITORY, unpacked_packages

FILES = 2521
DIRECTORIES = 258
"""With the top one."""

_INSTALLED = Path("/usr/share/wordpress")


class WordPressMissing(Exception):
    """The package is neither installed nor unpacked, or is another version."""


def wordpress_tree() -> Path:
    """The regular files and directories of the package, without its symbolic links.

    A copy in .cache/wordpress, made at the first call: do not change it. Raises WordPressMissing.
    """
    tree = REPOSITORY / ".cache" / "wordpress"
    if _counts(tree) == (FILES, DIRECTORIES):
        return tree
    tree.parent.mkdir(exist_ok=True)
    # Test processes that run side by side may both come here: each copies, the first one's stays.
    fresh = Path(tempfile.mkdtemp(prefix="wordpress-", dir=tree.parent))
    try:
        _copy(fresh)
        if (found := _counts(fresh)) != (FILES, DIRECTORIES):
            raise WordPressMissing(
                f"the package wordpress has {found[0]} files in {found[1]} directories,"
                f" the tests are about the one with {FILES} in {DIRECTORIES}"
            )
        fresh.chmod(0o755)
        try:
            fresh.rename(tree)
        except OSError:
            if _counts(tree) != (FILES, DIRECTORIES):
                shutil.rmtree(tree)
                fresh.rename(tree)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return tree


def _copy(target: Path) -> None:
    copied = False
    for source, relative in _packaged():
        if source.is_symlink():
            continue
        copied = True
        if source.is_dir():
            (target / relative).mkdir(parents=True, exist_ok=True)
        else:
            shutil.copy2(source, target / relative)
    if not copied:
        raise WordPressMissing(
            "Debian's package wordpress is missing; tests/servers/install.sh unpacks it"
        )


def _packaged() -> Iterator[tuple[Path, Path]]:
    """What belongs to the package, directories before what is in them, and its place in the tree.

    Of an installed package only what dpkg lists: other packages put themes into the same folder.
    """
    unpacked = unpacked_packages() / "wordpress" / str(_INSTALLED).lstrip("/")
    if unpacked.is_dir():
        for path in sorted([unpacked, *unpacked.rglob("*")]):
            yield path, path.relative_to(unpacked)
    elif shutil.which("dpkg-query"):
        listed = subprocess.run(
            ["dpkg-query", "--listfiles", "wordpress"], capture_output=True, text=True, check=False
        )
        for path in sorted(map(Path, listed.stdout.splitlines())):
            if path.is_relative_to(_INSTALLED):
                yield path, path.relative_to(_INSTALLED)


def _counts(tree: Path) -> tuple[int, int]:
    files = directories = 0
    for _, _, names in os.walk(tree):
        directories += 1
        files += len(names)
    return files, directories
