"""What goes over the wire while a few small files are sent over one connection, with times.

    python -m benchmarks.trace [--server NAME] [--ftps] [--client engine|lftp|rclone|ncftp|ftputil]

The link's relay tells of each packet, at the moment when the client sends or gets it; so the round
trips that a file costs can be counted. Under TLS packets have no text: there siteferry's session
tells what it writes and reads (lines with `=`, not packets), for the client `engine`.
"""

from __future__ import annotations

import argparse
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

from benchmarks.clients import CLIENTS
from benchmarks.clients.base import Job
from benchmarks.clients.engine import engine_job
from benchmarks.engine import import_tree
from benchmarks.latency import DelayedLink
from benchmarks.outcome import MeasurementFailed
from benchmarks.servers import SERVERS, running
from siteferry.ftp.replies import Reply
from siteferry.ftp.session import Session

_SECONDS = 120.0

Event = tuple[float, str]


class TracedSession(Session):
    """Tells when it writes commands, has read a reply, and opens a data connection."""

    events: list[Event] = []  # noqa: RUF012  (of all sessions)

    def _tell(self, text: str) -> None:
        self.events.append((time.monotonic(), f"= {text}"))

    def write_lines(self, lines: Sequence[bytes]) -> None:
        told = [line.decode(errors="replace").strip() for line in lines]
        self._tell("writes " + " | ".join("PASS …" if s.startswith("PASS ") else s for s in told))
        super().write_lines(lines)

    def read_reply(self) -> Reply:
        reply = super().read_reply()
        self._tell(f"has read {reply.text.splitlines()[0]}")
        return reply

    def connect_data(self, *arguments: Any, **options: Any) -> socket.socket:
        self._tell("connects for data")
        try:
            return super().connect_data(*arguments, **options)
        finally:
            self._tell("is connected")

    def secure_data(self, *arguments: Any, **options: Any) -> socket.socket:
        try:
            return super().secure_data(*arguments, **options)
        finally:
            self._tell("may send data")


def main() -> int:
    asked = _arguments()
    with tempfile.TemporaryDirectory(prefix="siteferry-trace-") as name:
        folder = Path(name)
        tree = folder / "tree"
        tree.mkdir()
        for number in range(asked.files):
            (tree / f"file-{number}.html").write_bytes(bytes([65 + number % 26]) * asked.bytes)
        packets = folder / "packets"
        with DelayedLink(asked.round_trip / 1000, packets) as link:
            with running(asked.server, tls=asked.ftps, link=link) as server:
                (folder / "client").mkdir()
                job = Job(server.fresh(), tree, folder / "client", _SECONDS)
                begin = time.monotonic()
                _send(asked.client, job)
            control_port = server.port
        events = [*TracedSession.events, *_packets(packets, control_port, asked.acks)]
    for moment, text in sorted(events, key=itemgetter(0)):
        if moment >= begin:
            print(f"{(moment - begin) * 1000:8.1f} ms  {text}")
    return 0


def _send(client: str, job: Job) -> None:
    if client == "engine":
        figures = import_tree({**engine_job(job), "connections": 1}, TracedSession)
        print(", ".join(f"{name} {value:.3f}" for name, value in figures.items()))
        return
    run = CLIENTS[client].run(job)
    if run.status != "done":
        raise MeasurementFailed(f"{client}: {run.status} {run.note}")
    print(f"{client}: {run.seconds:.3f} s")


def _packets(file: Path, control_port: int, acks: bool) -> Iterator[Event]:
    for line in file.read_text().splitlines():
        moment, arrow, *rest = line.split(" ", 4)
        if len(rest) < 3 or (rest[2] == "ACK" and not acks):
            continue
        client, server, told = rest
        where = "control" if server == str(control_port) else "data"
        yield float(moment), f"{arrow} {where:7} {client} {told}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.trace", description=__doc__)
    clients = [name for name in CLIENTS if name != "command"]
    parser.add_argument("--server", choices=list(SERVERS), default="pureftpd")
    parser.add_argument("--client", choices=clients, default="engine")
    parser.add_argument("--ftps", action="store_true")
    parser.add_argument("--files", type=int, default=3)
    parser.add_argument("--bytes", type=int, default=1000, help="of each file")
    parser.add_argument("--round-trip", type=float, default=20, help="milliseconds")
    parser.add_argument("--acks", action="store_true", help="also packets that only acknowledge")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
