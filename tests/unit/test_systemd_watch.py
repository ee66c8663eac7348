"""What the unit that watches the others does after each answer of a real `siteferry-probe`."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest

from siteferry.health.place import below
from siteferry.health.probe import KINDS
from siteferry.settings.models import default_state_dir
from tests.health_files import dead_process, put
from tests.installation import REPOSITORY

UNITS = REPOSITORY / "config/systemd"
DIRECTORY = "/var/lib/siteferry/health"
PROBE = "/opt/siteferry/bin/siteferry-probe"


def script(kind: str) -> str:
    """What the shell is given to do, as systemd reads it (systemd.service(5), "Command lines")."""
    text = (UNITS / "siteferry-watch@.service").read_text().replace("\\\n", " ")
    (command,) = re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE)
    *shell, given = shlex.split(command)
    assert shell == ["/bin/sh", "-c"]
    assert not re.search(r"(?<!\$)\$(?!\$)", given.replace("$$", "")), "systemd would expand it"
    return given.replace("$$", "$").replace("%i", kind)


class Watch:
    """Runs it with programs of its own for `systemctl`, which notes what it is told, and `sleep`,
    which takes no time and does `meanwhile`."""

    def __init__(self, folder: Path) -> None:
        self.health, self._bin, self._told = folder / "health", folder / "bin", folder / "told"
        self._bin.mkdir()
        self._program("systemctl", f'echo "$@" >> {self._told}')
        self._program("probe", f'cd {REPOSITORY}; {sys.executable} -m siteferry.health.probe "$@"')
        self.meanwhile("")

    def meanwhile(self, command: str) -> None:
        self._program("sleep", command)

    def __call__(self, kind: str = "worker") -> tuple[int, str, str]:
        """The exit status, what is logged, and what systemd was told to do."""
        probe = f"{self._bin}/probe"
        text = script(kind).replace(PROBE, probe).replace(DIRECTORY, str(self.health))
        done = subprocess.run(
            ["/bin/sh", "-c", text],
            env={"PATH": f"{self._bin}:/usr/bin:/bin"},
            capture_output=True,
            text=True,
            timeout=60,
        )
        told = self._told.read_text() if self._told.exists() else ""
        return done.returncode, done.stdout, told

    def _program(self, name: str, command: str) -> None:
        file = self._bin / name
        file.write_text(f"#!/bin/sh\n{command}\n")
        file.chmod(0o755)


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    return Watch(tmp_path)


def test_the_directory_is_the_one_into_which_the_units_write() -> None:
    state = default_state_dir({"XDG_STATE_HOME": "/var/lib"})  # %S of a unit of the system
    assert below(str(state)) == DIRECTORY
    for kind in KINDS:
        assert f"--dir {DIRECTORY}" in script(kind)
        unit = (UNITS / f"siteferry-{kind}.service").read_text()
        assert "\nEnvironment=XDG_STATE_HOME=%S\n" in unit


def test_who_is_alive_is_left_alone_and_nothing_is_logged(watch: Watch) -> None:
    put(watch.health)
    assert watch() == (0, "", "")


def test_a_worker_that_was_never_started_or_was_stopped_is_not_started(watch: Watch) -> None:
    assert watch() == (0, "", "")
    put(watch.health, kind="beat")
    assert watch() == (0, "", "")


@pytest.mark.parametrize("kind", KINDS)
def test_who_hangs_is_started_anew_if_it_runs_at_all(watch: Watch, kind: str) -> None:
    put(watch.health, kind=kind, why_not_alive="the sweeper has hung for 121 s")
    assert watch(kind) == (
        0,
        f"not alive: the sweeper has hung for 121 s ({kind} here-1-ab): "
        f"siteferry-{kind} is started anew\n",
        f"try-restart siteferry-{kind}\n",
    )


def test_who_was_killed_is_not_started_anew_while_it_starts(watch: Watch) -> None:
    """systemd's own restart takes two seconds, and the dead one's file lies there till then."""
    put(watch.health, pid=dead_process())
    new = watch.health.parent / "new"
    put(new, written=time.monotonic())
    watch.meanwhile(f"cp {new}/*.json {watch.health}/")
    assert watch() == (0, "", "")


def test_a_probe_that_cannot_be_asked_so_is_a_failure_of_the_unit(watch: Watch) -> None:
    assert watch("flower")[::2] == (2, "")
