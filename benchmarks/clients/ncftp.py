"""ncftp: `ncftpput -R`, over its single connection. It has no TLS."""

from __future__ import annotations

import shutil
from pathlib import Path

from benchmarks.clients.base import Job, run_peer
from benchmarks.outcome import Run


class Ncftp:
    """Seconds of the whole command."""

    name = "ncftp"
    ours = False

    def missing(self) -> str | None:
        if shutil.which("ncftpput"):
            return None
        return "ncftpput is not installed (Debian: apt install ncftp)"

    def run(self, job: Job) -> Run:
        server = job.server
        login = job.folder / "login"
        login.write_text(f"host {server.host}\nuser {server.user}\npass {server.password}\n")
        argv = ["ncftpput", "-f", str(login), "-P", str(server.port), "-V", "-m", "-R"]
        return run_peer([*argv, job.remote_dir, str(job.tree)], job, {"HOME": str(job.folder)})

    def landing(self, job: Job) -> Path:
        # It sends the folder itself, not only what is in it.
        return job.local_dir / job.tree.name
