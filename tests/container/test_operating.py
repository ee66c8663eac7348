"""What docs/containers.md tells an operator to type, and what runs by itself."""

from __future__ import annotations

import json
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.container.stack import Stack
from tests.servers.binaries import REPOSITORY

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

DOCUMENT = (REPOSITORY / "docs/containers.md").read_text()
WITHIN_SECONDS = 120.0
TERM = 1 << (signal.SIGTERM - 1)
"""Of the sets of signals in /proc."""


def line_with(piece: str) -> str:
    """The one command of the document that has this in it."""
    blocks = re.findall(r"^```text\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
    lines: list[str] = [line for block in blocks for line in block.splitlines() if piece in line]
    assert len(lines) == 1, lines
    return lines[0]


def typed(stack: Stack, line: str) -> None:
    stack.engine.run("bash", "-euc", line, cwd=stack.folder, environment=stack.environment)


def test_a_copy_of_the_credentials_is_put_back(stack: Stack) -> None:
    stack.store_password("copied")
    names = stack.siteferry("credential", "list").stdout
    assert "copied/FTP_PASSWORD" in names
    copying = re.search(r"`(docker compose cp worker:[^`]*)`", DOCUMENT)
    assert copying is not None
    typed(stack, copying[1])
    stack.siteferry("credential", "remove", "copied")
    typed(stack, line_with("< store.json"))
    assert stack.siteferry("credential", "list").stdout == names
    # And it can be written again.
    stack.store_password("copied")
    stack.siteferry("credential", "remove", "copied")


def test_the_line_for_cron_starts_anew_the_workers_that_are_unhealthy(stack: Stack) -> None:
    """On containers of another project, of which one that is not a worker is unhealthy too."""
    made = {}
    for service, check in (("worker", "false"), ("redis", "false"), ("flower", "true")):
        labels = {"project": "sick", "service": service}
        made[service] = stack.engine.run(
            *("docker", "run", "--detach", "--entrypoint", "sleep"),
            *("--health-cmd", check, "--health-interval", "0.5s", "--health-retries", "1"),
            *("--health-start-period", "1ms", "--stop-timeout", "1"),
            *(f"--label=com.docker.compose.{k}={v}" for k, v in labels.items()),
            *("siteferry", "600"),
        ).stdout.strip()

    def states(key: str) -> dict[str, str]:
        listed = json.loads(stack.engine.run("docker", "inspect", *made.values()).stdout)
        health = [facts["State"] | facts["State"]["Health"] for facts in listed]
        return dict(zip(made, (state[key] for state in health), strict=True))

    try:
        deadline = time.monotonic() + WITHIN_SECONDS
        ill = {"worker": "unhealthy", "redis": "unhealthy", "flower": "healthy"}
        while states("Status") != ill:
            assert time.monotonic() < deadline, states("Status")
            time.sleep(0.1)
        before = states("StartedAt")
        line = line_with("health=unhealthy")
        typed(stack, line.replace("project=siteferry", "project=sick"))
        after = states("StartedAt")
        assert {service for service in made if before[service] != after[service]} == {"worker"}
        # Nothing is unhealthy: nothing happens, and no error either.
        typed(stack, line)
    finally:
        stack.engine.run("docker", "rm", "--force", *made.values())


def test_the_scheduler_starts_what_is_due(stack: Stack) -> None:
    stack.store_password("due")
    stack.add_site("due", {"index.html": "due"}, schedule={"cron": "* * * * *"})
    file = stack.volume("ftp") / "due/index.html"
    try:
        deadline = time.monotonic() + WITHIN_SECONDS
        while not file.exists():
            assert time.monotonic() < deadline, stack.compose("logs", "scheduler").stdout
            time.sleep(0.5)
        assert file.read_text() == "due"
        last = stack.siteferry("schedule", "list", "due").stdout
        assert "due" in last
    finally:
        (stack.folder / "mine/config/websites/due.yaml").unlink()


def test_a_command_in_a_container_of_its_own_ends_when_it_is_told(stack: Stack) -> None:
    """It waits for a password here."""
    run = ["run", "--detach", "--interactive", "-T", "worker", "credential", "add", "waiting"]
    container = stack.compose(*run).stdout.split()[-1]

    def state() -> dict[str, Any]:
        told = stack.engine.run("docker", "inspect", container).stdout
        found: dict[str, Any] = json.loads(told)[0]["State"]
        return found

    try:
        status = Path(f"/proc/{state()['Pid']}/status")
        deadline = time.monotonic() + WITHIN_SECONDS
        # proc(5): before it has a handler, the kernel would keep the signal from it.
        while not int(re.findall(r"^SigCgt:\s*(\w+)", status.read_text(), re.M)[0], 16) & TERM:
            assert time.monotonic() < deadline, "SIGTERM has no handler"
            time.sleep(0.05)
        stack.engine.run("docker", "stop", "--time", "20", container)
        assert state()["ExitCode"] == 128 + signal.SIGTERM
    finally:
        stack.engine.run("docker", "rm", "--force", container, check=False)
