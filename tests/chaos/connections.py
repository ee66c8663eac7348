"""Control connections as the kernel sees them (Linux, /proc/net/tcp), on both ends."""

from __future__ import annotations

import contextlib
import ipaddress
import re
from collections.abc import Iterator
from pathlib import Path

from tests.servers.base import FtpServer

_ESTABLISHED, _CLOSE_WAIT = "01", "08"
_SOCKET = re.compile(r"socket:\[(\d+)\]")


def connected(server: FtpServer) -> int:
    """How many connections to the server's control port processes of this machine hold."""
    address = int.from_bytes(ipaddress.IPv4Address(server.host).packed[::-1])
    wanted = f"{address:08X}:{server.port:04X}"
    return sum(
        remote == wanted and state == _ESTABLISHED
        for _, remote, state, _ in _table(Path("/proc/self/net/tcp"))
    )


def bereaved(server: FtpServer) -> set[int]:
    """The sessions of the server whose client has gone, and that have not noticed: Pure-FTPd, where
    the client has died between STOR and its data connection, waits for that for its idle time."""
    found: set[int] = set()
    for pid in server.session_processes():
        with contextlib.suppress(OSError):
            own = set(_sockets(pid))
            found |= {
                pid
                for local, _, state, inode in _table(Path(f"/proc/{pid}/net/tcp"))
                if state == _CLOSE_WAIT and local.endswith(f":{server.port:04X}") and inode in own
            }
    return found


def _table(path: Path) -> Iterator[tuple[str, str, str, str]]:
    """Local and remote address, state, inode."""
    for line in path.read_text().splitlines()[1:]:
        fields = line.split()
        yield fields[1], fields[2], fields[3], fields[9]


def _sockets(pid: int) -> Iterator[str]:
    for link in Path(f"/proc/{pid}/fd").iterdir():
        if found := _SOCKET.fullmatch(str(link.readlink())):
            yield found[1]
