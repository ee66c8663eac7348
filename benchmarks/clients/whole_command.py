"""The whole command `siteferry import`: it brings its own Redis and worker along."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from benchmarks.clients.base import CONNECTIONS, REMOTE, Job
from benchmarks.outcome import MeasurementFailed, Run
from tests.installation import Installation, left_over, tree_of


class WholeCommand:
    """Seconds of the command, from its start to its end, with all files new.

    Then once more, with nothing changed; these are the facts whose names begin with `again_`.
    `run_seconds` is the command's own `seconds`, from planning to the end of the publish.
    """

    name = "command"
    ours = True

    def missing(self) -> str | None:
        return None

    def run(self, job: Job) -> Run:
        installation = Installation(job.folder / "installation")
        add_site(installation, job)
        wall, first = _import(installation, job)
        if rest := left_over(job.local_dir):
            raise MeasurementFailed(f"siteferry left {rest[:5]} on the server")
        again_wall, again = _import(installation, job)
        files = sum(kind != "directory" for kind in tree_of(job.local_dir).values())
        counts = (first["stats"]["uploaded"], again["stats"]["uploaded"], again["stats"]["skipped"])
        if counts != (files, 0, files):
            raise MeasurementFailed(f"siteferry counted wrongly: {counts}, files: {files}")
        facts = {
            "run_seconds": first["seconds"],
            "publish_seconds": first["publish_seconds"] or 0.0,
            "overhead_seconds": wall - first["seconds"],
            "again_seconds": again_wall,
            "again_run_seconds": again["seconds"],
        }
        return Run("done", wall, facts)

    def landing(self, job: Job) -> Path:
        return job.local_dir


def add_site(installation: Installation, job: Job) -> None:
    """The website `example`, whose source is the tree."""
    ftp: dict[str, Any] = {"max_connections": CONNECTIONS}
    if job.server.fingerprint:
        ftp["fingerprint"] = f"sha256:{job.server.fingerprint}"
    source = installation.add_site(job.server, remote=REMOTE, ftp=ftp)
    source.rmdir()
    source.symlink_to(job.tree)


def _import(installation: Installation, job: Job) -> tuple[float, Any]:
    begin = time.monotonic()
    result = installation.run("import", "example", "--json", "--quiet", timeout=job.limit_seconds)
    wall = time.monotonic() - begin
    if result.code:
        raise MeasurementFailed(f"siteferry ended with {result.code}: {result.output[-2000:]}")
    return wall, result.json
