"""Processes as the containers of an overlay would run them, with real servers beside them."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis

from tests.conftest import unavailable
from tests.holdings import wait_until
from tests.kubernetes.laid_out import LaidOut, data_of, lay_out
from tests.kubernetes.manifests import Object, new_secrets, overlay, pod_of
from tests.metrics_scrape import scrape
from tests.servers.guarded import GuardedProcess
from tests.servers.ports import HOST, PortBlock

REDIS_IN_THE_CLUSTER = "siteferry-redis:6379"
BESIDE: list[Object] = [
    {"kind": "ConfigMap", "metadata": {"name": "siteferry-websites"}, "data": {}},
    {"kind": "Secret", "metadata": {"name": "siteferry-credentials"}, "stringData": {}},
]
"""What the operator makes, with nothing in it."""


def answers(url: str) -> bool:
    """Whether a probe of the kind `httpGet` succeeds."""
    try:
        return scrape(url).code == 200
    except OSError:
        return False


class RedisPod:
    """The container of the StatefulSet. `secrets`: what `k8s/new-secrets.sh` has printed."""

    def __init__(self, secrets: Sequence[Object], folder: Path, port: int) -> None:
        self.secrets, self.port = secrets, port
        self._log = folder / "redis.log"
        data = folder / "data"
        data.mkdir()
        pod = pod_of(overlay("redis-in-cluster"), "redis")
        self.laid = lay_out(
            pod,
            secrets,
            folder / "redis",
            changes={"redis-cli ": f"redis-cli -p {port} "},
            shared={"data": data},
        )
        self.start()

    def start(self) -> None:
        self.begin()
        wait_until(self._answers, f"Redis does not start: {self._log.read_text()}")

    def begin(self, *more: str) -> None:
        """Start it, and do not wait until it has read its data."""
        command = [*self.laid.command(), "--port", str(self.port), "--bind", HOST, *more]
        self._process = GuardedProcess(command, output=self._log)

    def _answers(self) -> bool:
        assert self._process.alive(), self._log.read_text()
        try:
            with self.client("admin") as client:
                return bool(client.ping())
        except redis.ConnectionError:
            return False

    def restart(self) -> None:
        self.stop()
        self.start()

    def stop(self) -> None:
        self._process.stop()

    def is_well(self, probe: str) -> bool:
        """Whether one of the container's probes succeeds, as its shell runs it."""
        done = subprocess.run(
            self.laid.command(probe), capture_output=True, timeout=20, env=self.laid.environment
        )
        return done.returncode == 0

    def rotate(self) -> None:
        """All passwords are new, and mounted; Redis goes on with the ones that it has read."""
        self.secrets = new_secrets()
        self.laid.mount(self.secrets)

    def client(self, name: str) -> redis.Redis:
        """As the user whose Secret is `siteferry-redis-NAME`."""
        login = data_of(self.secrets, "Secret", f"siteferry-redis-{name}")
        return redis.Redis(
            port=self.port,
            username=login["username"],
            password=login["password"],
            driver_info=None,
        )


@contextmanager
def redis_pod(secrets: Sequence[Object], folder: Path) -> Iterator[RedisPod]:
    for program in ("redis-server", "redis-cli"):
        if shutil.which(program) is None:
            unavailable(f"no {program} (apt: redis-server)")
    ports = PortBlock()
    server = RedisPod(secrets, folder, ports.control)
    try:
        yield server
    finally:
        server.stop()
        ports.release()


@dataclass(frozen=True, slots=True)
class Namespace:
    """One overlay with its Secrets and the ConfigMap of the websites.

    folder: of this test; each pod gets a root of its own in it.
    workspaces: what the claim of that name is.
    changes: addresses in the place of those that only a cluster has.
    """

    objects: Sequence[Object]
    folder: Path
    workspaces: Path
    changes: Mapping[str, str]

    def laid_out(self, component: str, name: str) -> LaidOut:
        return lay_out(
            pod_of(self.objects, component),
            self.objects,
            self.folder / name,
            changes=self.changes,
            shared={"workspaces": self.workspaces},
        )

    @contextmanager
    def running(self, component: str) -> Iterator[RunningPod]:
        """The container's command, until the end of the block."""
        laid = self.laid_out(component, component)
        with (self.folder / f"{component}.log").open("w") as log:
            process = subprocess.Popen(
                laid.command(), env=laid.environment, cwd=laid.root, stdout=log, stderr=log
            )
        try:
            yield RunningPod(laid, process, self.folder / f"{component}.log")
        finally:
            process.kill()
            process.wait()

    def exec_in(self, laid: LaidOut, *arguments: str) -> subprocess.CompletedProcess[str]:
        """As `kubectl exec POD -- siteferry ARGUMENTS`."""
        program = laid.command()[:3]
        return subprocess.run(
            [*program, *arguments],
            env=laid.environment,
            cwd=laid.root,
            capture_output=True,
            text=True,
            timeout=100,
        )


@dataclass(frozen=True, slots=True)
class RunningPod:
    """A container's process, and its probes."""

    laid: LaidOut
    process: subprocess.Popen[bytes]
    log: Path

    def is_well(self, probe: str) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        done = subprocess.run(
            self.laid.command(probe), env=self.laid.environment, capture_output=True, timeout=10
        )
        return done.returncode == 0

    def wait_until_ready(self) -> None:
        """As a rollout does."""
        wait_until(lambda: self.is_well("readinessProbe"), f"not ready: {self.log}")
        assert self.is_well("startupProbe")
        assert self.is_well("livenessProbe")

    def ends_within(self) -> tuple[int, float]:
        """Told to stop as by a kubelet: its exit status, and the seconds that it took."""
        grace = self.laid.pod.spec["terminationGracePeriodSeconds"]
        begun = time.monotonic()
        self.process.terminate()
        return self.process.wait(grace), time.monotonic() - begun
