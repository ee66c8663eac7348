"""nginx, serving a local folder over HTTP as a web host does: for what visitors of a site see."""

from __future__ import annotations

import pwd
import socket
import tempfile
import time
from pathlib import Path
from typing import Self

from tests.servers.base import file_owner, remove_tree, running_as_root
from tests.servers.binaries import Binary, find_binary
from tests.servers.guarded import GuardedProcess
from tests.servers.ports import HOST, PortBlock

_START_SECONDS = 20.0
_POLL_SECONDS = 0.01

# Nothing is kept of a file between two requests, neither its content nor its open descriptor. A
# visitor's connection may stay for a whole test: nginx would close it after 1,000 requests.
_CONFIGURATION = """\
daemon off;
worker_processes 1;
pid {home}/pid;
{user}
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {home}/body;
    proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi;
    scgi_temp_path {home}/scgi;
    sendfile on;
    open_file_cache off;
    keepalive_requests 1000000000;
    default_type application/octet-stream;
    server {{
        listen {host}:{port};
        root {root};
        location ~ /\\.ht {{ deny all; }}
    }}
}}
"""


class WebServer:
    """nginx (Debian's package of that name) on loopback, from entering it until leaving it.

    `root` is the folder that it serves. Every file is served as it stands, PHP too; names that
    begin with .ht are refused, as Debian's Apache and most hosts have it. Files are read as the
    FTP servers' user (`file_owner`).
    """

    def __init__(self, root: Path) -> None:
        self.host = HOST
        self._root = root
        self._home = Path(tempfile.mkdtemp(prefix="siteferry-nginx-"))
        # Its worker passes here on the way to the folders for temporary files.
        self._home.chmod(0o755)
        self._log_file = self._home / "server.log"
        self._ports = PortBlock()
        self.port = self._ports.control
        self._process: GuardedProcess | None = None

    @staticmethod
    def binary() -> Binary | None:
        return find_binary("nginx", "nginx")

    @classmethod
    def missing(cls) -> str | None:
        """Why nginx cannot run here, None where it can."""
        if cls.binary() is None:
            return "nginx is not installed; tests/servers/install.sh unpacks it"
        return None

    def __enter__(self) -> Self:
        """Start, and wait until it listens. Raises RuntimeError, with its log, if it does not."""
        try:
            self._start()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()

    def remove(self) -> None:
        """Stop, and delete every file of nginx's own; what it served stays."""
        if self._process is not None:
            self._process.stop()
        self._ports.release()
        if self._home.exists():
            remove_tree(self._home)

    def _start(self) -> None:
        binary = self.binary()
        if binary is None:
            raise RuntimeError(self.missing())
        # nginx takes the group of the same name, which daemon has and an ordinary user may lack.
        user = f"user {pwd.getpwuid(file_owner()[0]).pw_name};" if running_as_root() else ""
        configuration = self._home / "nginx.conf"
        configuration.write_text(
            _CONFIGURATION.format(
                home=self._home,
                user=user,
                host=self.host,
                port=self.port,
                root=self._root,
            )
        )
        log = str(self._log_file)
        self._process = GuardedProcess(
            [str(binary.path), "-p", str(self._home), "-c", str(configuration), "-e", log],
            output=self._log_file,
            environment=binary.environment(),
        )
        deadline = time.monotonic() + _START_SECONDS
        while not self._listens():
            if not self._process.alive() or time.monotonic() > deadline:
                raise RuntimeError(f"nginx does not start:\n{self._log_file.read_text()}")
            time.sleep(_POLL_SECONDS)

    def _listens(self) -> bool:
        try:
            socket.create_connection((self.host, self.port), timeout=5).close()
        except OSError:
            return False
        return True
