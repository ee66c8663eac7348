"""siteferry's engine alone, as a process of its own (`benchmarks/engine.py`)."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.clients.base import CONNECTIONS, Job, run_bounded, succeeded
from benchmarks.outcome import Run
from tests.installation import REPOSITORY


class Engine:
    """Seconds from the scan's beginning to the end of the publish."""

    name = "engine"
    ours = True

    def missing(self) -> str | None:
        return None

    def run(self, job: Job) -> Run:
        argv = [sys.executable, "-m", "benchmarks.engine"]
        ended = run_bounded(
            argv, job.limit_seconds, stdin=json.dumps(engine_job(job)), cwd=REPOSITORY
        )
        told = json.loads(succeeded(ended, "the engine").stdout)
        return Run("done", told.pop("seconds"), told)

    def landing(self, job: Job) -> Path:
        return job.local_dir


def engine_job(job: Job) -> dict[str, Any]:
    """What the child process reads."""
    return {
        "host": job.server.host,
        "port": job.server.port,
        "username": job.server.user,
        "password": job.server.password,
        "fingerprint": job.server.fingerprint,
        "remote_dir": job.remote_dir,
        "tree": str(job.tree),
        "connections": CONNECTIONS,
    }
