"""A podman of Debian 13, which knows `kube play`, in namespaces of its own.

Its root file system is install.sh's, with a layer above it that is thrown away. Processes, mounts
and networks are in namespaces that go with the first process in them, and that one goes with the
test run. Nothing is reached from within but loopback and podman's own bridge.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from tests.container.engine import CGROUPS, INSTALLED, checked, missing
from tests.servers.guarded import GuardedProcess

ROOT = INSTALLED / "podman"

_START_SECONDS = 60.0
_POLL_SECONDS = 0.05
_NAMESPACES = ("--net", "--mount", "--pid", "--uts", "--ipc")
_FIRST_PROCESS = """
# The machine's number of this process, as its /proc tells it.
read -r pid _ </proc/self/stat
cd "$0"
mkdir upper work root storage
# podman's own layers cannot lie upon such a layer: they get a folder of the disk.
mount -t overlay -o "lowerdir=$1,upperdir=upper,workdir=work" overlay root
mkdir -p root/var/lib/containers root/machine
mount --bind storage root/var/lib/containers
mount -t proc proc root/proc
mount -t sysfs sysfs root/sys
mount --rbind /sys/fs/cgroup root/sys/fs/cgroup
mount --rbind /dev root/dev
mount -t tmpfs tmpfs root/run
mount -t tmpfs tmpfs root/tmp
cd root
pivot_root . machine
cd /
umount -l machine
ip link set lo up
echo "$pid" >/var/lib/containers/first-process
exec catatonit -P
"""
_ENVIRONMENT = (
    *("PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"),
    # No systemd whose timers would ask the probes: the tests ask.
    *("DISABLE_HC_SYSTEMD=true", "PODMAN_IGNORE_CGROUPSV1_WARNING=1"),
)


def podman_missing() -> str | None:
    """Why no podman can run here; None where one can."""
    if reason := missing():
        return reason
    if not (ROOT / ".complete").exists():
        return "tests/container/install.sh has made no root file system with podman"
    return None


class Podman:
    """Runs from `start` to `stop`; what it held is deleted then."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="siteferry-podman-"))
        self._cgroups = _cgroups()
        self._pid_file = self.folder / "storage/first-process"
        self._process: GuardedProcess | None = None

    def start(self) -> None:
        """Make the namespaces, and wait until podman answers in them.

        Raises RuntimeError, with what was printed, if it does not.
        """
        log = self.folder / "namespaces.log"
        words = ["unshare", *_NAMESPACES, "--fork", "--kill-child", "--"]
        self._process = GuardedProcess(
            [*words, "sh", "-euc", _FIRST_PROCESS, str(self.folder), str(ROOT)], output=log
        )
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            if not self._process.alive() or time.monotonic() > deadline:
                self._process.stop()
                raise RuntimeError(f"podman does not start:\n{log.read_text()}")
            time.sleep(_POLL_SECONDS)

    def _answers(self) -> bool:
        return self._pid_file.exists() and not self.run("version", check=False).returncode

    def stop(self) -> None:
        """End it with all containers, and delete what it held. Harmless the second time."""
        process, self._process = self._process, None
        if process is not None:
            if process.alive():
                self.run("pod", "rm", "--all", "--force", "--time", "0", check=False)
            process.stop()
        # podman leaves the cgroups of its containers behind, empty.
        for left in sorted(_cgroups() - self._cgroups, reverse=True):
            # Those of another podman, started meanwhile, are in use.
            with contextlib.suppress(OSError):
                left.rmdir()
        shutil.rmtree(self.folder)

    def run(
        self, *arguments: str, text: str = "", check: bool = True, seconds: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """`podman ARGUMENTS`. `text` is its input.

        Raises AssertionError, with what it printed, where it fails and `check` is set.
        """
        done = subprocess.run(
            self._command(*arguments),
            input=text,
            capture_output=True,
            text=True,
            timeout=seconds,
        )
        return checked(done, ["podman", *arguments]) if check else done

    def feed(self, file: Path, *arguments: str) -> None:
        """`podman ARGUMENTS`, which reads the file.

        Raises subprocess.CalledProcessError where it fails.
        """
        with file.open("rb") as stream:
            words = self._command(*arguments)
            subprocess.run(words, stdin=stream, check=True, timeout=120, stdout=subprocess.DEVNULL)

    def process(self, pid: int) -> Path:
        """The folder in /proc of a process whose number is podman's, as seen from here."""
        return Path(f"/proc/{self._pid}/root/proc/{pid}")

    def path(self, inside: str) -> Path:
        """A file of podman's root file system, as seen from here."""
        return Path(f"/proc/{self._pid}/root{inside}")

    @property
    def _pid(self) -> int:
        return int(self._pid_file.read_text())

    def _command(self, *arguments: str) -> list[str]:
        enter = ["nsenter", f"--target={self._pid}", *_NAMESPACES, "--"]
        environment = ["env", "--ignore-environment", *_ENVIRONMENT]
        # Not crun, which is Debian's choice: see install.sh.
        return [*enter, *environment, "podman", "--runtime", "runc", *arguments]


def _cgroups() -> set[Path]:
    return set(CGROUPS.glob("**/libpod_parent/**/"))
