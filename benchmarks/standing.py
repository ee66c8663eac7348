"""A Redis and a worker that stand before the command comes, as an operator has them."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from benchmarks.clients.base import Job
from benchmarks.clients.whole_command import add_site
from benchmarks.engine import peak_mib
from benchmarks.outcome import MeasurementFailed
from siteferry.ledger.connection import connect
from siteferry.ledger.slots import SlotLedger
from tests.installation import Installation
from tests.private_redis import RedisServer, redis_binary
from tests.servers.guard import descendants

_SECONDS_TO_START = 30.0
_SECONDS_TO_LOG_OUT = 30.0
_LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Imported:
    """One `siteferry import`: seconds of the whole command, the most memory that its process had
    resident, and what it printed."""

    seconds: float
    peak_mib: float
    told: Any

    @property
    def counts(self) -> tuple[int, int, int]:
        """Files uploaded, skipped, failed."""
        stats = self.told["stats"]
        return stats["uploaded"], stats["skipped"], stats["failed"]


@dataclass(frozen=True, slots=True)
class TaskSeconds:
    """How long the tasks of one kind took: how many there were, all together, and the longest."""

    count: int
    sum: float
    longest: float


class Standing:
    """An installation with the website `example`, and its Redis; see `standing`."""

    def __init__(self, installation: Installation, redis: RedisServer) -> None:
        self.installation = installation
        self.redis = redis
        self._slots = SlotLedger(connect(redis.url))

    @contextmanager
    def worker(self, *options: str) -> Iterator[int]:
        """Run `siteferry worker`, with `options`, from the beginning of the block, where it is
        ready, to its end; gives its process. Each is the only one."""
        with self.installation.process("worker", *options) as process:
            self._wait(lambda: bool(self._own_nodes(process.pid)), "the worker does not start")
            yield process.pid

    def run_import(self, limit_seconds: float) -> Imported:
        """Run `siteferry import example` to its end.

        Raises:
            MeasurementFailed: it ended with an error, or not in time.
        """
        begin = time.monotonic()
        with subprocess.Popen(
            self.installation.argv("import", "example", "--json", "--quiet"),
            env=self.installation.env(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.installation.folder,
        ) as process:
            try:
                with _peak_of(process.pid) as peaks:
                    stdout, stderr = process.communicate(timeout=limit_seconds)
            except BaseException as error:
                process.kill()
                if isinstance(error, subprocess.TimeoutExpired):
                    raise MeasurementFailed(f"siteferry took over {limit_seconds:.0f} s") from error
                raise
        seconds = time.monotonic() - begin
        if process.returncode:
            said = (stdout + stderr)[-2000:]
            raise MeasurementFailed(f"siteferry ended with {process.returncode}: {said}")
        return Imported(seconds, max(peaks, default=0.0), json.loads(stdout))

    def wait_until_logged_out(self) -> None:
        """Until the worker has given up its sessions: a run that comes minutes later, as second
        runs do, finds none."""
        pattern = self._slots.connection.keys.slots_of_account("*")
        client = self._slots.connection.client
        self._wait(
            lambda: not any(client.zcard(key) for key in client.scan_iter(pattern)),
            "the worker keeps its sessions",
            _SECONDS_TO_LOG_OUT,
        )

    def redis_mib(self) -> tuple[float, float]:
        """What Redis holds now, and the most that it has ever held, in MiB."""
        with self.redis.client() as client:
            told = client.info("memory")
        return told["used_memory"] / 2**20, told["used_memory_peak"] / 2**20

    def task_seconds(self, run: str) -> dict[str, TaskSeconds]:
        """The tasks of a run by their kind, as the worker's log tells of them."""
        found: dict[str, list[float]] = defaultdict(list)
        for line in (self.installation.folder / "worker.log").read_text().splitlines():
            with suppress(ValueError):
                event = json.loads(line)
                if event.get("event") == "ended" and event.get("run") == run:
                    found[event["task"].partition("-")[0]].append(event["seconds"])
        return {kind: TaskSeconds(len(of), sum(of), max(of)) for kind, of in found.items()}

    def _own_nodes(self, pid: int) -> list[str]:
        return [node for node in self._slots.nodes() if f"-{pid}-" in node]

    def _wait(
        self, is_so: Callable[[], bool], otherwise: str, seconds: float = _SECONDS_TO_START
    ) -> None:
        deadline = time.monotonic() + seconds
        while not is_so():
            if time.monotonic() > deadline:
                raise MeasurementFailed(otherwise)
            time.sleep(_LOOK_SECONDS)


@contextmanager
def standing(job: Job) -> Iterator[Standing]:
    """An installation below `job.folder` that publishes `job.tree`, and a Redis of its own.

    Raises:
        MeasurementFailed: there is no Redis.
    """
    binary = redis_binary()
    if binary is None:
        raise MeasurementFailed("there is no Redis (Debian: apt install redis-server)")
    redis = RedisServer(binary)
    try:
        installation = Installation(job.folder / "installation", redis=redis.url)
        installation.configure(log={"format": "json"})
        add_site(installation, job)
        yield Standing(installation, redis)
    finally:
        redis.remove()


def peak_of_all_mib(pid: int) -> float:
    """The most that a process has had resident at any time, with what it has started."""
    return sum(map(peak_mib, {pid, *descendants(pid)}))


@contextmanager
def _peak_of(pid: int) -> Iterator[list[float]]:
    """Look again and again at the peak of a process that will be gone when it could be asked."""
    seen: list[float] = []
    stop = threading.Event()

    def look() -> None:
        with suppress(OSError):
            while not stop.wait(_LOOK_SECONDS):
                seen.append(peak_mib(pid))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()
