"""Asks `siteferry-probe`, as a supervisor would, and looks into the health files themselves."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.holdings import wait_until
from tests.installation import REPOSITORY, Installation


@dataclass(frozen=True)
class Answer:
    """The exit status of a probe and its one line."""

    code: int
    line: str


@dataclass(frozen=True)
class Probing:
    """The probes of one installation."""

    installation: Installation

    @property
    def folder(self) -> Path:
        return self.installation.folder / "state/health"

    def ask(self, word: str, *options: str) -> Answer:
        done = subprocess.run(
            [sys.executable, "-m", "siteferry.health.probe", word, "--dir", self.folder, *options],
            capture_output=True,
            text=True,
            timeout=10,
            cwd=REPOSITORY,
        )
        assert done.stderr == ""
        (line,) = done.stdout.splitlines()
        return Answer(done.returncode, line)

    def alive(self) -> bool:
        return self.ask("alive").code == 0

    def ready(self) -> bool:
        return self.ask("ready").code == 0

    def wait(self, word: str, code: int, seconds: float, *, meanwhile_alive: bool = True) -> Answer:
        """Until the probe says so, `seconds` at most; gives its answer. At each look meanwhile the
        process must be alive, unless that is what is waited for."""
        found: list[Answer] = []

        def said() -> bool:
            found[:] = [self.ask(word)]
            if meanwhile_alive and word != "alive":
                alive = self.ask("alive")
                assert alive.code == 0, alive.line
            return found[0].code == code

        begun = time.monotonic()
        wait_until(said, f"{word}: {code} was not said: {found}", seconds)
        assert time.monotonic() - begun < seconds, found
        return found[0]

    def records(self) -> list[dict[str, Any]]:
        return [json.loads(path.read_text()) for path in sorted(self.folder.glob("*.json"))]


@contextmanager
def own_worker(installation: Installation, *options: str) -> Iterator[subprocess.Popen[str]]:
    """A worker of `tests.own_worker_program`; what it prints goes to `worker.log`."""
    config = str(installation.folder / "config/siteferry.yaml")
    program = [sys.executable, "-m", "tests.own_worker_program"]
    assert installation.redis is not None
    with (installation.folder / "worker.log").open("a") as stream:
        started = subprocess.Popen(
            [*program, config, installation.redis, *options],
            env=installation.env(),
            stdout=stream,
            stderr=stream,
            text=True,
            cwd=REPOSITORY,
        )
    try:
        yield started
    finally:
        started.kill()
        started.wait()
