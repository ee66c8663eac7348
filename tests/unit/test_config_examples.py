"""The examples for cron and systemd: their commands exist, and systemd takes the units."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from siteferry.cli import cli
from siteferry.settings.models import WorkerSettings
from tests.conftest import unavailable
from tests.installation import REPOSITORY

CRONTAB = REPOSITORY / "config/cron/siteferry"
UNITS = REPOSITORY / "config/systemd"
PROGRAM = "/opt/siteferry/bin/siteferry"
WATCH = UNITS / "siteferry-watch@.service"


def cron_commands() -> Iterator[tuple[str, str]]:
    """The fields of time and the command of each line, also of one that is commented out."""
    for line in CRONTAB.read_text().splitlines():
        found = re.fullmatch(r"(?:# )?((?:[\d*/,-]+ +){5})siteferry  (.*)", line)
        if found is not None:
            yield found[1].strip(), found[2]


def unit_commands() -> Iterator[str]:
    for unit in set(UNITS.glob("*.service")) - {WATCH}:
        (command,) = re.findall(r"^ExecStart=(.*)$", unit.read_text(), re.MULTILINE)
        yield command.replace("%i", "example")


def accepts(words: list[str]) -> click.Context:
    """As the command line does, up to where the command begins to work."""
    context = cli.make_context("siteferry", words[:], allow_extra_args=True)
    name, command, rest = cli.resolve_command(context, words)  # type: ignore[attr-defined]
    assert command is not None
    return command.make_context(name, rest, parent=context)


def test_the_commands_of_cron_are_accepted_and_tell_nothing_but_errors() -> None:
    found = [command for _, command in cron_commands()]
    assert len(found) == 3
    for command in found:
        words = shlex.split(command.rpartition("; ")[2].partition(" > ")[0])
        assert words.pop(0) == "siteferry"
        context = accepts(words)
        assert context.params["quiet"]
        assert context.params["if_not_running"]


def test_the_commands_of_the_units_are_accepted() -> None:
    commands = sorted(unit_commands())
    assert [command.split()[1] for command in commands] == ["beat", "import", "worker"]
    for command in commands:
        program, *words = shlex.split(command)
        assert program == PROGRAM
        accepts(words)


def test_a_command_that_does_not_exist_is_found() -> None:
    with pytest.raises(click.ClickException):
        accepts(["import", "example", "--detched"])


def test_a_worker_is_given_five_seconds_more_than_its_grace() -> None:
    text = (UNITS / "siteferry-worker.service").read_text()
    assert f"TimeoutStopSec={WorkerSettings().grace_seconds + 5:.0f}\n" in text


def test_no_secret_stands_in_an_example() -> None:
    for file in (CRONTAB, *UNITS.iterdir()):
        for name in re.findall(r"^(SITEFERRY_\w+)=", file.read_text(), re.MULTILINE):
            assert name.endswith(("_FILE", "_CONFIG", "_URL")), f"{name} in {file.name}"


def test_systemd_finds_nothing_wrong_with_the_units(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        unavailable("no systemd-analyze (apt: systemd)")
    named = []
    for unit in UNITS.iterdir():
        # The program must be there, and a template needs a name.
        copy = tmp_path / unit.name.replace("@.", "@example.")
        copy.write_text(unit.read_text().replace(PROGRAM, sys.executable))
        named += [copy] if copy.suffix in (".service", ".timer") else []
    assert len(named) == 6
    done = subprocess.run(
        [analyze, "verify", "--man=no", *named], capture_output=True, text=True, timeout=60
    )
    ours = [line for line in done.stderr.splitlines() if "siteferry" in line]
    assert ours == []
    assert done.returncode == 0, done.stderr


def test_the_times_of_the_timer_are_ones_that_systemd_knows() -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        unavailable("no systemd-analyze (apt: systemd)")
    text = (UNITS / "siteferry-import@.timer").read_text()
    (calendar,) = re.findall(r"^OnCalendar=(.*)$", text, re.MULTILINE)
    done = subprocess.run([analyze, "calendar", calendar], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
