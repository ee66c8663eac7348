"""The plain design with ftputil, as a process of its own (`benchmarks/ftputil_threads.py`)."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from benchmarks.clients.base import Job, run_peer
from benchmarks.clients.engine import engine_job
from benchmarks.outcome import Run
from tests.installation import REPOSITORY


class PlainFtputil:
    """Seconds of the whole command."""

    name = "ftputil"
    ours = False

    def missing(self) -> str | None:
        return None

    def run(self, job: Job) -> Run:
        argv = [sys.executable, "-m", "benchmarks.ftputil_threads"]
        return run_peer(argv, job, stdin=json.dumps(engine_job(job)), cwd=REPOSITORY)

    def landing(self, job: Job) -> Path:
        return job.local_dir
