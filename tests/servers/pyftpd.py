"""pyftpdlib in a process of its own: the one server that runs wherever Python does.

python -m tests.servers.pyftpd --port 12001 --passive 12002-12099 --root DIR ...
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import re
import sys
from pathlib import Path
from typing import Any, ClassVar

from tests.servers.base import PASSWORD, FtpServer, file_owner, running_as_root
from tests.servers.binaries import REPOSITORY, Binary

_MAY_READ = "elr"
_MAY_WRITE = "adfmwMT"


class PyFtpd(FtpServer):
    """`extra` takes `--without=COMMAND` (as if the server had never heard of it) and
    `--no-overwrite` (RNTO onto an existing file is refused, as by IIS and FileZilla Server)."""

    kind: ClassVar[str] = "pyftpd"
    binary_name: ClassVar[str] = "python"
    # pyOpenSSL cannot tell whether a session was resumed.
    requires_session_reuse: ClassVar[bool] = False
    login_line: ClassVar[re.Pattern[str] | None] = re.compile(r"\] USER '.*' logged in\.")
    session_line: ClassVar[re.Pattern[str] | None] = re.compile(
        r"\] (?P<session>\S+?)-\[.*\] FTP session (?:(?P<open>opened)|closed)"
    )

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.remote_root = "/"

    @classmethod
    def binary(cls) -> Binary | None:
        return Binary(Path(sys.executable), tree=None)

    def command(self, binary: Binary) -> list[str]:
        command = [
            str(binary.path),
            *("-m", "tests.servers.pyftpd"),
            *("--port", str(self.port)),
            *("--passive", f"{self._ports.passive_first}-{self._ports.passive_last}"),
            *("--root", str(self.root)),
        ]
        if self._certificate is not None and self.tls:
            command += [
                *("--certificate", str(self._certificate.file)),
                *("--key", str(self._certificate.key)),
            ]
        if self.max_clients is not None:
            command += ["--max-clients", str(self.max_clients)]
        if self.max_per_ip is not None:
            command += ["--max-per-ip", str(self.max_per_ip)]
        if self.read_only:
            command.append("--read-only")
        return [*command, *self.extra]

    def environment(self, binary: Binary) -> dict[str, str]:
        return {"PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1"}


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--passive", required=True)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--certificate", type=Path)
    parser.add_argument("--key", type=Path)
    parser.add_argument("--max-clients", type=int)
    parser.add_argument("--max-per-ip", type=int, default=0)
    parser.add_argument("--read-only", action="store_true")
    parser.add_argument("--no-overwrite", action="store_true")
    parser.add_argument("--without", action="append", default=[])
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> None:
    """Serve until killed, as an ordinary user if started by root."""
    from pyftpdlib.authorizers import DummyAuthorizer
    from pyftpdlib.exceptions import FilesystemError
    from pyftpdlib.filesystems import AbstractedFS
    from pyftpdlib.handlers import FTPHandler, TLS_FTPHandler
    from pyftpdlib.servers import FTPServer

    options = _parse(arguments)

    class KeepingFS(AbstractedFS):  # type: ignore[misc]  # pyftpdlib publishes no types
        def rename(self, src: str, dst: str) -> None:
            if Path(dst).exists():
                raise FilesystemError("File already exists")
            super().rename(src, dst)

    class CountingServer(FTPServer):  # type: ignore[misc]  # pyftpdlib publishes no types
        def _accept_new_cons(self) -> bool:
            # Its own max_cons counts listening sockets and data connections, too.
            channels = list(self.ioloop.socket_map.values())
            sessions = sum(isinstance(channel, FTPHandler) for channel in channels)
            return options.max_clients is None or sessions <= options.max_clients

    class Closing:
        """pyftpdlib's TLS connections close in a shutdown of their own, which with a client that
        has gone after a handshake it did not like ends never, at 100 % CPU: here after one try."""

        def _do_ssl_shutdown(self: Any) -> None:
            again = self._ssl_closing
            super()._do_ssl_shutdown()  # type: ignore[misc]
            if again and self._ssl_closing:
                self._error = True  # its way to say: without a shutdown
                self.close()

    base = TLS_FTPHandler if options.certificate else FTPHandler
    handler: Any = type("Handler", (Closing, base) if options.certificate else (base,), {})
    if options.certificate:
        handler.dtp_handler = type("DtpHandler", (Closing, handler.dtp_handler), {})
        handler.certfile, handler.keyfile = str(options.certificate), str(options.key)
        handler.tls_control_required = handler.tls_data_required = True
    users = DummyAuthorizer()
    permissions = _MAY_READ if options.read_only else _MAY_READ + _MAY_WRITE
    users.add_user("site", PASSWORD, str(options.root), perm=permissions)
    handler.authorizer = users
    handler.auth_failed_timeout = 0
    first, last = options.passive.split("-")
    handler.passive_ports = range(int(first), int(last) + 1)
    handler.proto_cmds = {
        name: facts for name, facts in handler.proto_cmds.items() if name not in options.without
    }
    if options.no_overwrite:
        handler.abstracted_fs = KeepingFS
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="[%(asctime)s] %(message)s")
    server = CountingServer(("127.0.0.1", options.port), handler)
    server.max_cons_per_ip = options.max_per_ip
    os.umask(0o022)
    if running_as_root():
        # Last: the interpreter, like the key, may stand where other users cannot read. For the
        # same reason what MFMT imports when it is first called is imported now.
        importlib.import_module("_strptime")
        uid, gid = file_owner()
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1:])
