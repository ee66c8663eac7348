"""The memory of a worker process during an import: `siteferry worker` beside a Redis."""

from __future__ import annotations

import time
from pathlib import Path

import redis

from benchmarks.clients.base import Job
from benchmarks.clients.whole_command import add_site
from benchmarks.engine import peak_mib
from benchmarks.outcome import MeasurementFailed, Run
from tests.installation import Installation
from tests.private_redis import RedisServer, redis_binary
from tests.servers.guard import descendants

_NODES = "siteferry:nodes"
_SECONDS_TO_START = 30.0


class Worker:
    """`peak_mib`: the most that the worker has had resident, at any time of its life, with what
    it has started, if anything. Seconds are those of the importing command."""

    name = "worker"
    ours = True

    def missing(self) -> str | None:
        return None if redis_binary() else "there is no Redis (Debian: apt install redis-server)"

    def run(self, job: Job) -> Run:
        binary = redis_binary()
        assert binary is not None
        server = RedisServer(binary)
        try:
            installation = Installation(job.folder / "installation", redis=server.url)
            add_site(installation, job)
            with installation.process("worker") as worker:
                _wait_for_worker(server)
                begin = time.monotonic()
                result = installation.run(
                    "import", "example", "--json", "--quiet", timeout=job.limit_seconds
                )
                seconds = time.monotonic() - begin
                if result.code:
                    raise MeasurementFailed(f"siteferry ended with {result.code}: {result.output}")
                peak = sum(map(peak_mib, {worker.pid, *descendants(worker.pid)}))
        finally:
            server.remove()
        return Run("done", seconds, {"peak_mib": peak})

    def landing(self, job: Job) -> Path:
        return job.local_dir


def _wait_for_worker(server: RedisServer) -> None:
    deadline = time.monotonic() + _SECONDS_TO_START
    with redis.Redis.from_url(server.url) as client:
        while client.zcard(_NODES) < 1:
            if time.monotonic() > deadline:
                raise MeasurementFailed("the worker does not start")
            time.sleep(0.05)
