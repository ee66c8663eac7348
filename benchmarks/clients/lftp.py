"""lftp: `mirror -R --parallel=8`, and `put` for a single file, with its own defaults."""

from __future__ import annotations

import shutil
from pathlib import Path

from benchmarks.clients.base import CONNECTIONS, Job, run_peer
from benchmarks.outcome import Run

_PLAIN = "set ftp:ssl-allow no;"
_TLS = "set ftp:ssl-force yes; set ftp:ssl-protect-data yes; set ssl:verify-certificate no;"


class Lftp:
    """Seconds of the whole command."""

    name = "lftp"
    ours = False

    def missing(self) -> str | None:
        return None if shutil.which("lftp") else "lftp is not installed (Debian: apt install lftp)"

    def run(self, job: Job) -> Run:
        server = job.server
        security = _TLS if server.tls else _PLAIN
        script = f"{security} set cmd:fail-exit yes; {_sending(job)}; quit"
        argv = ["lftp", "--env-password", "-u", server.user, "-p", str(server.port), server.host]
        environment = {"LFTP_PASSWORD": server.password, "LFTP_HOME": str(job.folder)}
        return run_peer([*argv, "-e", script], job, environment)

    def landing(self, job: Job) -> Path:
        return job.local_dir


def _sending(job: Job) -> str:
    files = list(job.tree.iterdir())
    if len(files) == 1 and files[0].is_file():
        target = f"{job.remote_dir}/{files[0].name}"
        return f'mkdir "{job.remote_dir}"; put "{files[0]}" -o "{target}"'
    return f'mirror -R --parallel={CONNECTIONS} "{job.tree}" "{job.remote_dir}"'
