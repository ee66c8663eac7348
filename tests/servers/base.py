"""The contract of all test servers, and what starting and stopping one takes."""

from __future__ import annotations

import copy
import os
import pwd
import re
import shutil
import socket
import stat
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from tests.servers.binaries import Binary, find_binary
from tests.servers.guard import children_of
from tests.servers.guarded import GuardedProcess
from tests.servers.ports import HOST, PortBlock

if TYPE_CHECKING:
    from tests.servers.certificate import Certificate

PASSWORD = "Ferry-Tide-7319"
# sha256-crypt of PASSWORD: `openssl passwd -5 -salt siteferrytest Ferry-Tide-7319`. Servers hash at
# each login; the expensive schemes would be what the login tests measure.
PASSWORD_HASH = "$5$siteferrytest$gQx5dd7peEBH5NIx6IVgKlTS4Ys986WyePXBcwTtLpB"
_START_SECONDS = 20.0
_POLL_SECONDS = 0.01


def running_as_root() -> bool:
    return os.geteuid() == 0


def file_owner() -> tuple[int, int]:
    """User and group id under which every server reads and writes: ours, or daemon's for root.

    Not nobody's: vsftpd admits no user whose home directory does not exist.
    """
    if not running_as_root():
        return os.getuid(), os.getgid()
    entry = pwd.getpwnam("daemon")
    return entry.pw_uid, entry.pw_gid


class FtpServer(ABC):
    """A real server on loopback, from `start` until `stop`.

    `root` is a local folder; `remote_root` is the absolute path under which a client sees it.
    Everything below `root` belongs to `file_owner()`, so that permissions bite although the server
    was started by root. `certificate` is the file that a client trusts, None without TLS.

    tls: explicit FTPS (RFC 4217), required for control and data. The data connection must resume
        the control connection's TLS session where `requires_session_reuse` says so.
    max_clients, max_per_ip: what the server admits at a time, in all and from one address.
    read_only: logins succeed, every change is refused.
    root: an existing folder to serve (not one of pytest's, which are closed to the server's user);
        a new one otherwise. Its size can be bounded by mounting a small tmpfs there.
    extra: lines for the server's configuration file, or arguments where it has none.
    """

    kind: ClassVar[str]
    binary_name: ClassVar[str]
    requires_session_reuse: ClassVar[bool] = True
    login_line: ClassVar[re.Pattern[str] | None] = None
    """Matches the log once for each successful login; None where the log does not tell."""
    session_line: ClassVar[re.Pattern[str] | None] = None
    """Matches at each session's beginning (group `open`) and end, and names it (group `session`);
    None where the log is silent."""

    def __init__(
        self,
        *,
        tls: bool = False,
        certificate: Certificate | None = None,
        max_clients: int | None = None,
        max_per_ip: int | None = None,
        read_only: bool = False,
        root: Path | None = None,
        extra: Sequence[str] = (),
    ) -> None:
        if tls and certificate is None:
            raise ValueError("a server with TLS needs a certificate")
        if root is not None and running_as_root():
            for folder in root.parents:
                if not folder.stat().st_mode & stat.S_IXOTH:
                    raise ValueError(f"the server's user cannot pass {folder} to reach {root}")
        self.tls = tls
        self.max_clients = max_clients
        self.max_per_ip = max_per_ip
        self.read_only = read_only
        self.extra = tuple(extra)
        self.host = HOST
        self.user = "site"
        self.password = PASSWORD
        self._certificate = certificate
        self.certificate = certificate.file if tls and certificate else None
        self.fingerprint = certificate.fingerprint if tls and certificate else None
        # Not a folder of pytest's: those are closed to other users, and so to the server.
        self._home = Path(tempfile.mkdtemp(prefix=f"siteferry-{self.kind}-"))
        self._home.chmod(0o755)
        self._log_file = self._home / "server.log"
        self._log_file.touch()
        self._log_from = 0
        self.root = root or self._home / "root"
        self.root.mkdir(exist_ok=True)
        self.root.chmod(0o755)
        os.chown(self.root, *file_owner())
        self.remote_root = "/" if running_as_root() else str(self.root)
        self._ports = PortBlock()
        self.port = self._ports.control
        self._process: list[GuardedProcess] = []

    @classmethod
    def binary(cls) -> Binary | None:
        return find_binary(cls.binary_name, cls.kind)

    @classmethod
    def missing(cls) -> str | None:
        """Why this server cannot run here, None where it can."""
        if cls.binary() is None:
            return f"{cls.kind} is not installed; tests/servers/install.sh unpacks it"
        return None

    @abstractmethod
    def command(self, binary: Binary) -> list[str]:
        """Write what configuration the server needs below `_home`; give its command line."""

    def environment(self, binary: Binary) -> dict[str, str]:
        """What the server's process needs beyond our own environment."""
        return binary.environment()

    def start(self) -> Self:
        """Start (again, on the same port with the same files), and wait until it greets.

        Raises RuntimeError, with the server's log, if it does not.
        """
        binary = self.binary()
        if binary is None:
            raise RuntimeError(self.missing())
        process = GuardedProcess(
            self.command(binary), output=self._log_file, environment=self.environment(binary)
        )
        self._process[:] = [process]
        deadline = time.monotonic() + _START_SECONDS
        while not self._has_greeted(process):
            if not process.alive() or time.monotonic() > deadline:
                process.stop()
                raise RuntimeError(f"{self.kind} does not start:\n{self.log()}")
            time.sleep(_POLL_SECONDS)
        self._log_from = self._log_file.stat().st_size
        return self

    def _has_greeted(self, process: GuardedProcess) -> bool:
        try:
            with socket.create_connection((self.host, self.port), timeout=5) as probe:
                if not probe.recv(512).startswith(b"220"):
                    return False
                probe.sendall(b"QUIT\r\n")
                while probe.recv(512):
                    pass
        except OSError:
            return False
        # The probe's own session must not count against max_clients when the first test connects.
        deadline = time.monotonic() + 2
        while len(process.processes()) > 1 and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        return True

    def alive(self) -> bool:
        return bool(self._process) and self._process[0].alive()

    def session_processes(self) -> set[int]:
        """Process ids of the sessions of a server that forks for each (Linux): the children of the
        server's own process."""
        return {
            child
            for process in self._process
            for own in children_of(process.guard_pid)
            for child in children_of(own)
        }

    def stop(self) -> None:
        """Kill the server with all its sessions; `start` brings it back, with its files."""
        for process in self._process:
            process.stop()

    def remove(self) -> None:
        """Stop, and delete every file of the server's; harmless the second time."""
        self.stop()
        self._ports.release()
        if self._home.exists():
            remove_tree(self._home)

    def __enter__(self) -> Self:
        return self if self.alive() else self.start()

    def __exit__(self, *exception: object) -> None:
        self.remove()

    def fresh(self) -> Self:
        """The same server with an empty folder of its own as `root`, and counts that begin now."""
        view = copy.copy(self)
        view.root = Path(tempfile.mkdtemp(prefix="area-", dir=self.root))
        view.root.chmod(0o755)
        os.chown(view.root, *file_owner())
        view.remote_root = f"{self.remote_root.rstrip('/')}/{view.root.name}"
        view._log_from = self._log_file.stat().st_size
        return view

    def through(self, port: int) -> Self:
        """The same server behind a proxy that listens at `port` of loopback."""
        view = copy.copy(self)
        view.port = port
        return view

    def log(self) -> str:
        """What the server has logged since `start` or `fresh`."""
        with self._log_file.open("rb") as file:
            file.seek(self._log_from)
            return file.read().decode(errors="replace")

    @classmethod
    def counts(cls) -> bool:
        """Whether the log tells logins and sessions; a `FtpProxy` in front does in any case."""
        return cls.login_line is not None and cls.session_line is not None

    def logins(self) -> int:
        """Successful logins since `start` or `fresh`; of all clients, not only this test's."""
        if self.login_line is None:
            raise NotImplementedError(f"{self.kind} logs no logins; count them in a FtpProxy")
        return len(self.login_line.findall(self.log()))

    def most_connections(self) -> int:
        """The most sessions that were open at a time since `start` or `fresh`."""
        if self.session_line is None:
            raise NotImplementedError(f"{self.kind} logs no sessions; count them in a FtpProxy")
        now: set[str] = set()
        most = 0
        for line in self.session_line.finditer(self.log()):
            if line["open"]:
                now.add(line["session"])
            else:
                now.discard(line["session"])
            most = max(most, len(now))
        return most


def remove_tree(folder: Path) -> None:
    """Delete `folder`, also where a test has taken away permissions inside."""
    for path, folders, _ in os.walk(folder):
        for name in folders:
            if not (below := Path(path, name)).is_symlink():
                below.chmod(0o700)
    shutil.rmtree(folder)
