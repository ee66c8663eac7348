"""A command under the guard, as a value to start and stop."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.servers.guard import descendants

_GUARD = Path(__file__).with_name("guard.py")
_SECONDS_TO_STOP = 10.0


class GuardedProcess:
    """Runs `command` until `stop`, or until this process ends in whatever way.

    Standard output and standard error are appended to the file `output`.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        output: Path,
        cwd: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        with output.open("ab") as sink:
            self._guard = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_GUARD), *command],
                stdin=subprocess.PIPE,
                stdout=sink,
                stderr=sink,
                cwd=cwd,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )

    def alive(self) -> bool:
        return self._guard.poll() is None

    @property
    def guard_pid(self) -> int:
        """The guard's process id, whose child is the command."""
        return self._guard.pid

    def processes(self) -> set[int]:
        """Process ids of the command and all its children (Linux)."""
        return descendants(self._guard.pid)

    def stop(self) -> None:
        """End the command and all its children, and wait until they are gone."""
        if self._guard.stdin is not None:
            self._guard.stdin.close()
        try:
            self._guard.wait(_SECONDS_TO_STOP)
        except subprocess.TimeoutExpired:
            self._guard.kill()
            self._guard.wait()
            raise
