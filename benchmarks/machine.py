"""What the figures were measured on and with."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from siteferry import __version__

_CPUINFO = Path("/proc/cpuinfo")


def describe() -> Iterator[str]:
    """Lines about the machine and the programs."""
    cores = os.cpu_count() or 1
    yield f"{cores} cores ({_processor()}), {platform.system()} {platform.release()}"
    load = os.getloadavg()[0]
    yield f"load before the run: {load:.2f} (a minute's average; anything but about 0 disturbs)"
    packages = ", ".join(f"{name} {version(name)}" for name in ("celery", "kombu", "redis"))
    yield f"siteferry {__version__}, Python {platform.python_version()}, {packages}"
    yield _lftp()


def _processor() -> str:
    if _CPUINFO.exists():
        found = re.search(r"^model name\s*: (.+)$", _CPUINFO.read_text(), re.MULTILINE)
        if found:
            return found[1]
    return platform.processor() or platform.machine()


def _lftp() -> str:
    try:
        told = subprocess.run(["lftp", "--version"], capture_output=True, text=True)
    except FileNotFoundError:
        return "lftp is not installed"
    found = re.search(r"Version (\S+)", told.stdout)
    return f"lftp {found[1] if found else 'of an unknown version'}"
