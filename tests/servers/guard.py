"""Runs one command, and kills it with all that it has started as soon as standard input ends.

A server that forks for each session, changes its user and leaves its process group cannot be
stopped by a signal to one process; and a test run that is killed itself stops nothing. So this
small process stands between them: it holds the reading end of a pipe whose writing end is held by
the test run, and it adopts what the server orphans (Linux: PR_SET_CHILD_SUBREAPER).

    python guard.py COMMAND [ARGUMENT...]
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
_PROC = Path("/proc")


def _children() -> dict[int, list[int]]:
    """Process ids by that of their parent, without zombies (Linux)."""
    children: dict[int, list[int]] = {}
    for entry in _PROC.glob("[0-9]*"):
        with contextlib.suppress(OSError):
            # The name in parentheses may hold spaces and parentheses: count from the last one.
            state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                children.setdefault(int(parent), []).append(int(entry.name))
    return children


def children_of(parent: int) -> set[int]:
    """Process ids of what `parent` has started itself, or adopted, without zombies (Linux)."""
    return set(_children().get(parent, ()))


def descendants(ancestor: int) -> set[int]:
    """Process ids of all that `ancestor` has started, at any depth, without zombies (Linux)."""
    children = _children()
    found: set[int] = set()
    look_at = [ancestor]
    while look_at:
        fresh = set(children.get(look_at.pop(), ())) - found
        found |= fresh
        look_at.extend(fresh)
    return found


def _kill_what_is_left() -> None:
    while left := descendants(os.getpid()):
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(-1, 0)


def main(arguments: list[str]) -> int:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    # A Ctrl-C at the terminal is for the test run, which then closes the pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    command = subprocess.Popen(arguments, stdin=subprocess.DEVNULL)

    def end_with_the_pipe() -> None:
        # Not sys.stdin: its buffer must not be held by this thread when the process exits.
        while os.read(0, 4096):
            pass
        command.kill()

    threading.Thread(target=end_with_the_pipe, daemon=True).start()
    code = command.wait()
    _kill_what_is_left()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    os._exit(main(sys.argv[1:]))
