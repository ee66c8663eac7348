"""What is measured: a tree, plain or FTPS, over loopback or a link, by which clients."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.servers import SERVERS
from benchmarks.trees import TITLES

WORKER = "worker"
"""Not a client to compare with: the memory of a worker process (`benchmarks/memory.py`)."""

_ALL_SERVERS = tuple(SERVERS)
_EVERY = ("engine", "lftp", "command", "rclone", "ncftp", "ftputil")


@dataclass(frozen=True, slots=True)
class Case:
    """One row of what is measured, on each of `servers`.

    `round_trip_ms`: 0 is loopback. `clients`: the first two are measured one right after the other
    and take turns in who begins.
    """

    tree: str
    tls: bool
    round_trip_ms: int
    clients: tuple[str, ...]
    servers: tuple[str, ...] = _ALL_SERVERS

    @property
    def name(self) -> str:
        """For instance `wordpress-ftps-20ms`, `memory-many`."""
        if self.clients == (WORKER,):
            return f"memory-{self.tree}"
        link = f"{self.round_trip_ms}ms" if self.round_trip_ms else "loopback"
        return f"{self.tree}-{'ftps' if self.tls else 'plain'}-{link}"

    @property
    def title(self) -> str:
        if self.clients == (WORKER,):
            return f"a worker's memory, {TITLES[self.tree]}"
        link = f"{self.round_trip_ms} ms" if self.round_trip_ms else "loopback"
        return f"{TITLES[self.tree]}, {'FTPS' if self.tls else 'plain FTP'}, {link}"


_EVERY_CASE = (
    Case("wordpress", False, 0, _EVERY),
    Case("wordpress", False, 20, _EVERY),
    Case("wordpress", False, 80, ("engine", "lftp", "command")),
    Case("wordpress", True, 0, ("engine", "lftp", "command", "rclone", "ftputil")),
    Case("wordpress", True, 20, ("engine", "lftp", "command")),
    Case("wordpress", True, 80, ("engine", "lftp")),
    Case("large", False, 0, ("engine", "lftp", "command", "rclone")),
    Case("large", False, 20, ("engine", "lftp")),
    Case("large", True, 0, ("engine", "lftp")),
    Case("many", False, 0, ("engine", "lftp", "command", "rclone")),
    Case("many", False, 20, ("engine", "lftp")),
    Case("many", True, 0, ("engine", "lftp")),
    Case("many", False, 0, (WORKER,), ("vsftpd",)),
    Case("large", False, 0, (WORKER,), ("vsftpd",)),
)
CASES: dict[str, Case] = {case.name: case for case in _EVERY_CASE}
NOT_UNLESS_ASKED = {"wordpress-ftps-80ms", "many-plain-20ms"}
"""They take long and bound nothing; only with `--case`."""
