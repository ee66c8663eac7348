"""Where health files are, and whether the process that has written one still lives.

Imported by `siteferry-probe`: nothing but `os` and `json` here, of which `os` is there anyway.
"""

from __future__ import annotations

import json
import os

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

VARIABLE = "SITEFERRY_HEALTH_DIR"
SUFFIX = ".json"
RECORD_BYTES = 1024
"""Size of a file, filled with blanks: one that is overwritten in place is never longer or shorter
than the one before it."""

_STATE, _STARTED = 0, 19
_DEAD = ("Z", "X")


def default_state_directory(environ: Mapping[str, str]) -> str:
    """`$XDG_STATE_HOME/siteferry`, or `~/.local/state/siteferry` (XDG Base Directory 0.8)."""
    state_home = environ.get("XDG_STATE_HOME", "")
    if os.path.isabs(state_home):
        return os.path.join(state_home, "siteferry")
    home = environ.get("HOME") or os.path.expanduser("~")
    return os.path.join(home, ".local", "state", "siteferry")


def below(state_directory: str) -> str:
    """The directory of health files where no other one was named."""
    return os.path.join(state_directory, "health")


def read_records(directory: str) -> list[dict[str, Any]]:
    """What stands in all health files of `directory`, in the order of their names; none where it is
    missing. A file that is removed meanwhile, cannot be read, or is none of ours, is passed over:
    one must not speak for the others.

    Raises:
        OSError: the directory cannot be looked into.
    """
    try:
        names = sorted(os.listdir(directory))
    except FileNotFoundError:
        return []
    records = []
    for name in names:
        if not name.endswith(SUFFIX):
            continue
        path = os.path.join(directory, name)
        try:
            with open(path, "rb") as file:
                record = json.loads(file.read(RECORD_BYTES * 4))
            _ = record["pid"] + record["written"], record["kind"] + record["node"]
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            continue
        records.append({**record, "path": path})
    return records


def is_here(record: Mapping[str, Any]) -> bool:
    """Whether the process was started on this machine, or in this container: its number says
    nothing elsewhere. Containers of one pod have the same name and numbers of their own."""
    if record.get("host") != os.uname().nodename:
        return False
    its, ours = record.get("pid_namespace"), pid_namespace()
    return not its or not ours or bool(its == ours)


def pid_namespace() -> str:
    """Where the numbers of processes are those that we see (pid_namespaces(7)); "" where the
    system does not tell."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def lives(record: Mapping[str, Any]) -> bool:
    """Whether the process that has written `record` still runs, and is not another one with its
    number."""
    started = started_of(record["pid"])
    return started is not None and record.get("started") in (started, "")


def started_of(pid: int) -> str | None:
    """When the process was started, in ticks since the machine was (proc(5), /proc/PID/stat); ""
    where the system does not tell, None where there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except FileNotFoundError:
        if os.path.exists("/proc/self/stat"):
            return None
    except OSError:
        return None  # it ended while it was read
    else:
        return None if fields[_STATE].decode() in _DEAD else fields[_STARTED].decode()
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return ""
