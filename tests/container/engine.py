"""A Docker Engine of the tests' own, in a network and mounts of its own.

Bridges, addresses and rules of the firewall are in a network namespace, which goes with its last
process; nothing of them is seen on the machine. The namespace has loopback and the bridges alone,
but for the time of `connected`, in which slirp4netns lets a build get at its package index. All
processes are below a guard, so that they end with the test run, however that ends.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.servers.binaries import REPOSITORY
from tests.servers.guarded import GuardedProcess

INSTALLED = REPOSITORY / ".cache/containers"
"""What install.sh has made."""
DOCKER, DOCKERD = Path("/usr/bin/docker"), Path("/usr/sbin/dockerd")

CGROUPS = Path("/sys/fs/cgroup")
_START_SECONDS = 60.0
_STOP_SECONDS = 60.0
_POLL_SECONDS = 0.05
_DAEMON = """
ip link set lo up
exec "$0" --config-file "$1/daemon.json" --data-root "$1/data" --exec-root "$1/exec" \
    --pidfile "$1/pid" --host "unix://$1/docker.sock" --cgroup-parent "/${1##*/}"
"""

_LIKE_THE_OFFICIAL_ONE = r"""
FROM debian-python
RUN python3 -m venv /made \
    && cp -r /made/lib/python3.*/site-packages/. /usr/local/lib/python3.*/dist-packages/ \
    && rm -rf /made \
    && printf '#!/usr/bin/python3\nfrom pip._internal.cli.main import main\nmain()\n' \
        > /usr/local/bin/pip \
    && chmod 755 /usr/local/bin/pip \
    && pip --version && python3 -c 'import setuptools' \
    && find /usr/lib/python3.* -name __pycache__ -prune -exec rm -rf {} +
"""


def missing() -> str | None:
    """Why no engine can run here; None where one can."""
    if os.environ.get("SITEFERRY_CONTAINER_TESTS") != "1":
        return "container tests have a target of their own: make test-containers"
    if os.geteuid() != 0:
        return "a Docker Engine needs root"
    if not DOCKERD.exists() or not (INSTALLED / "redis.tar").exists():
        return "tests/container/install.sh has not been run"
    return None


def checked(
    done: subprocess.CompletedProcess[str], command: Sequence[str]
) -> subprocess.CompletedProcess[str]:
    """What has run, unless it has failed. Raises AssertionError, with what it printed."""
    if done.returncode:
        raise AssertionError(
            f"{' '.join(command)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
    return done


class Engine:
    """Runs from `start` to `stop`; what it held is deleted then."""

    def __init__(self) -> None:
        # Short, because a socket's path has at most 107 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix="siteferry-docker-"))
        (self.folder / "daemon.json").write_text("{}\n")
        commands = self.folder / "bin"
        commands.mkdir()
        # Whatever else is called docker on this machine.
        (commands / "docker").symlink_to(DOCKER)
        self.environment = {
            "DOCKER_HOST": f"unix://{self.folder}/docker.sock",
            "DOCKER_CONFIG": str(INSTALLED / "docker"),
            "DOCKER_BUILDKIT": "1",
            "PATH": f"{commands}:{os.environ['PATH']}",
        }
        self._process: GuardedProcess | None = None

    def start(self) -> None:
        """Start, and wait until it answers.

        Raises RuntimeError, with the engine's log, if it does not.
        """
        namespaces = ["unshare", "--net", "--mount", "--"]
        self._process = GuardedProcess(
            [*namespaces, "sh", "-euc", _DAEMON, str(DOCKERD), str(self.folder)],
            output=self.folder / "engine.log",
        )
        deadline = time.monotonic() + _START_SECONDS
        while self.run("docker", "version", check=False).returncode:
            if not self._process.alive() or time.monotonic() > deadline:
                self._process.stop()
                raise RuntimeError(f"the Docker Engine does not start:\n{self.log()}")
            time.sleep(_POLL_SECONDS)

    def stop(self) -> None:
        """End it with all containers, and delete what it held. Harmless the second time."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)
            deadline = time.monotonic() + _STOP_SECONDS
            while process.alive() and time.monotonic() < deadline:
                time.sleep(_POLL_SECONDS)
            process.stop()
        # The engine leaves the cgroups of its containers behind, empty.
        for left in sorted(CGROUPS.glob(f"**/{self.folder.name}/**/"), reverse=True):
            left.rmdir()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def pid(self) -> int:
        return int((self.folder / "pid").read_text())

    def log(self) -> str:
        return (self.folder / "engine.log").read_text(errors="replace")[-5000:]

    def run(
        self,
        *command: str,
        cwd: Path | None = None,
        environment: Mapping[str, str] | None = None,
        text: str | None = None,
        check: bool = True,
        seconds: float = 300,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of the machine's that speaks to this engine. `text` is its input.

        Raises AssertionError, with what it printed, where it fails and `check` is set.
        """
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("SITEFERRY_", "COMPOSE"))}
        done = subprocess.run(
            command,
            cwd=cwd,
            env={**clean, **self.environment, **(environment or {})},
            input=text or "",
            capture_output=True,
            text=True,
            timeout=seconds,
        )
        return checked(done, command) if check else done

    def inside(self, *command: str) -> Sequence[str]:
        """The command line that runs `command` in the engine's network."""
        return ["nsenter", f"--target={self.pid}", "--net", "--", *command]

    @contextlib.contextmanager
    def connected(self) -> Iterator[None]:
        """The network is reached from within, as this machine reaches it."""
        slirp = GuardedProcess(
            [
                *("slirp4netns", "--configure", "--mtu=1500", "--disable-host-loopback"),
                *(str(self.pid), "tap0"),
            ],
            output=self.folder / "slirp.log",
        )
        try:
            deadline = time.monotonic() + _START_SECONDS
            while "default" not in self.run(*self.inside("ip", "route"), check=False).stdout:
                if not slirp.alive() or time.monotonic() > deadline:
                    raise RuntimeError((self.folder / "slirp.log").read_text())
                time.sleep(_POLL_SECONDS)
            yield
        finally:
            slirp.stop()

    def load_stand_ins(self, python: str, redis: str) -> None:
        """Import install.sh's root file systems under the names that Dockerfile and compose file
        ask for, that of Python with what the official image has and Debian's has not."""
        path = "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        for name, file, changes in (
            ("debian-python", "python.tar", ['CMD ["python3"]']),
            (redis, "redis.tar", ['CMD ["redis-server"]', "VOLUME /data", "WORKDIR /data"]),
        ):
            options = [word for change in (path, *changes) for word in ("--change", change)]
            self.run("docker", "import", *options, str(INSTALLED / file), name)
        self.run("docker", "build", "--quiet", "--tag", python, "-", text=_LIKE_THE_OFFICIAL_ONE)
