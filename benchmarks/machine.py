"""What the figures were measured on and with."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

from benchmarks.servers import SERVER_NAMES, SERVERS
from siteferry import __version__

_CPUINFO = Path("/proc/cpuinfo")
_PACKAGES = ("celery", "kombu", "redis", "ftputil")
# vsftpd writes its version to descriptor 0.
_SERVER_VERSIONS = {
    "vsftpd": ("-v",),
    "pureftpd": ("--help",),
    "proftpd": ("--version",),
}
_CLIENTS = {"lftp": "--version", "rclone": "version", "ncftpput": "--help"}


def describe() -> Iterator[str]:
    """Lines about the machine and the programs."""
    cores = os.cpu_count() or 1
    yield f"{cores} cores ({_processor()}), {platform.system()} {platform.release()}"
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    yield f"siteferry {__version__}, Python {platform.python_version()}, {packages}"
    yield ", ".join(f"{name} {_version([name, option])}" for name, option in _CLIENTS.items())
    yield ", ".join(f"{SERVER_NAMES[name]} {_server_version(name)}" for name in SERVERS)


def load() -> str:
    """A line about what else the machine is doing."""
    minute = os.getloadavg()[0]
    return f"load before the run: {minute:.2f} (a minute's average; anything but about 0 disturbs)"


def _processor() -> str:
    if _CPUINFO.exists():
        found = re.search(r"^model name\s*: (.+)$", _CPUINFO.read_text(), re.MULTILINE)
        if found:
            return found[1]
    return platform.processor() or platform.machine()


def _server_version(name: str) -> str:
    binary = SERVERS[name].binary()
    if binary is None:
        return "(not there)"
    return _version([str(binary.path), *_SERVER_VERSIONS[name]], binary.environment())


def _version(argv: Sequence[str], extra: dict[str, str] | None = None) -> str:
    reading, writing = os.pipe()
    try:
        subprocess.run(
            argv, stdin=writing, stdout=writing, stderr=writing, env={**os.environ, **(extra or {})}
        )
    except FileNotFoundError:
        return "(not there)"
    finally:
        os.close(writing)
        told = os.fdopen(reading, "rb").read().decode(errors="replace")
    found = re.search(r"\d+\.\d+(\.\d+)?[a-z]?", told)
    return found[0] if found else "of an unknown version"
