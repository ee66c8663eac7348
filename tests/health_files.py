"""Health files for tests: written by a real writer or put there, and asked for as probes do."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from siteferry.health import place
from siteferry.health.probe import Question, answer
from siteferry.health.record import Health, HealthFile


def health_file(folder: Path, health: Health | None = None, node: str = "here-1-ab") -> HealthFile:
    return HealthFile(folder, "worker", node, "1.2.3", lambda: health or Health())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state/health"


@pytest.fixture
def well(folder: Path) -> Iterator[HealthFile]:
    """A process that is well, and writes."""
    file = health_file(folder, Health(facts={"in_hand": 3}))
    file.start()
    yield file
    file.close()


def ask(folder: Path, *arguments: str) -> tuple[int, str]:
    return answer(Question([*arguments, "--dir", str(folder)], {}))


def only_record(folder: Path) -> dict[str, Any]:
    (path,) = folder.glob("*.json")
    record: dict[str, Any] = json.loads(path.read_text())
    return record


def put(folder: Path, **changes: object) -> None:
    """A file of this very process, but for `changes`."""
    folder.mkdir(parents=True, exist_ok=True)
    record = {
        "kind": "worker",
        "node": "here-1-ab",
        "host": os.uname().nodename,
        "pid_namespace": place.pid_namespace(),
        "pid": os.getpid(),
        "started": place.started_of(os.getpid()),
        "written": time.monotonic(),
        "why_not_alive": None,
        "why_not_ready": None,
    } | changes
    (folder / f"{record['kind']}-{record['node']}.json").write_text(json.dumps(record))


def dead_process() -> int:
    """The number of one that has ended, and was waited for."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid
