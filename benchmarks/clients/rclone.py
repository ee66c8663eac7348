"""rclone: `copy` or `sync`, `--transfers 8 --checkers 8`, with its own defaults."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from benchmarks.clients.base import CONNECTIONS, Job, run_peer
from benchmarks.outcome import Run


class Rclone:
    """Seconds of the whole command. It resumes no TLS sessions: some servers refuse it.

    command: `copy`, or `sync`, which also removes what the source does not have.
    """

    name = "rclone"
    ours = False

    def __init__(self, command: str = "copy") -> None:
        self._command = command

    def missing(self) -> str | None:
        if shutil.which("rclone"):
            return None
        return "rclone is not installed (Debian: apt install rclone)"

    def run(self, job: Job) -> Run:
        server = job.server
        configuration = job.folder / "rclone.conf"
        configuration.touch()
        environment = {
            "RCLONE_CONFIG": str(configuration),
            "RCLONE_FTP_HOST": server.host,
            "RCLONE_FTP_PORT": str(server.port),
            "RCLONE_FTP_USER": server.user,
            "RCLONE_FTP_PASS": _obscured(server.password),
            "RCLONE_FTP_EXPLICIT_TLS": str(server.tls).lower(),
            "RCLONE_FTP_NO_CHECK_CERTIFICATE": "true",
        }
        argv = ["rclone", self._command, "--create-empty-src-dirs"]
        argv += ["--transfers", str(CONNECTIONS), "--checkers", str(CONNECTIONS)]
        return run_peer([*argv, str(job.tree), f":ftp:{job.remote_dir}"], job, environment)

    def landing(self, job: Job) -> Path:
        return job.local_dir


def _obscured(password: str) -> str:
    done = subprocess.run(
        ["rclone", "obscure", "-"], input=password, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()
