"""What the private server is told without a client library: PING and SHUTDOWN, in RESP2."""

from __future__ import annotations

import socket
from pathlib import Path

_PING = b"*1\r\n$4\r\nPING\r\n"
# NOSAVE changes nothing for the append-only file, and is also obeyed during a script or loading.
_SHUTDOWN = b"*2\r\n$8\r\nSHUTDOWN\r\n$6\r\nNOSAVE\r\n"


def ping(path: Path, *, timeout_seconds: float) -> str | None:
    """Give the server's line (`+PONG`, `-LOADING …`), or None where nobody answers in time.

    A server that has been sent a SHUTDOWN before gives no `+PONG`: it accepts and reads connections
    in their order, and sends the replies of one round of its event loop only after all of it.
    """
    try:
        with _connected(path, timeout_seconds) as connection:
            return _exchange(connection, _PING)
    except OSError:
        return None


def shut_down(path: Path, *, timeout_seconds: float) -> str | None:
    """Ask the server to write out its file and end. Give the line in which it refused, else None.

    It has no reply to an accepted SHUTDOWN but the end of the connection.
    """
    try:
        with _connected(path, timeout_seconds) as connection:
            return _exchange(connection, _SHUTDOWN)
    except OSError:
        return None


def _connected(path: Path, timeout_seconds: float) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout_seconds)
        connection.connect(str(path))
    except BaseException:
        connection.close()
        raise
    return connection


def _exchange(connection: socket.socket, command: bytes) -> str | None:
    connection.sendall(command)
    answer = b""
    while not answer.endswith(b"\r\n"):
        part = connection.recv(1024)
        if not part:
            return None
        answer += part
    return answer.decode(errors="replace").strip()
