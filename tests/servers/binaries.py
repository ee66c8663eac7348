"""Where a server's binary is: installed, or unpacked from its package by install.sh."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
_SYSTEM_FOLDERS = ("/usr/sbin", "/usr/local/sbin")


@dataclass(frozen=True, slots=True)
class Binary:
    """`tree` is the root of an unpacked package, None where the package is installed."""

    path: Path
    tree: Path | None

    def environment(self) -> dict[str, str]:
        """What the process needs so that it finds the libraries unpacked beside it."""
        if self.tree is None:
            return {}
        folders = [self.tree / "usr/lib", *sorted((self.tree / "usr/lib").glob("*-linux-*"))]
        return {"LD_LIBRARY_PATH": os.pathsep.join(str(folder) for folder in folders)}

    def folder(self, name: str) -> Path:
        """A folder of the package by its absolute name, for instance /usr/lib/proftpd."""
        return (self.tree or Path("/")) / name.lstrip("/")


def unpacked_packages() -> Path:
    """The folder with one folder for each unpacked server."""
    configured = os.environ.get("SITEFERRY_TEST_SERVERS")
    return Path(configured) if configured else REPOSITORY / ".cache" / "servers"


def find_binary(name: str, server: str) -> Binary | None:
    """Look for `name` on the PATH, in the folders for daemons, then among the unpacked packages."""
    search = os.pathsep.join([os.environ.get("PATH", os.defpath), *_SYSTEM_FOLDERS])
    if found := shutil.which(name, path=search):
        return Binary(Path(found), None)
    tree = unpacked_packages() / server
    for folder in ("usr/sbin", "usr/bin"):
        if os.access(tree / folder / name, os.X_OK):
            return Binary(tree / folder / name, tree)
    return None
