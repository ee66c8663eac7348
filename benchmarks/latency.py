"""A link with a round trip of its own, where the kernel has no `netem`: two TUN devices.

One device is in a network namespace made for it. Between them stands a process that hands each
packet on after half the round trip (`benchmarks/relay.py`). Everything else is the kernel's: real
TCP, real handshakes, real slow start, without loss and with no limit of bandwidth but the CPU's.

    python -m benchmarks.latency [MILLISECONDS]      makes a link and measures it
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Self

_PREFIX = "siteferry-bench-"
_serial = itertools.count()
_SUBNETS = "10.213"
_REPOSITORY = Path(__file__).resolve().parents[1]
_SECONDS_TO_START = 20.0


class LinkFailed(Exception):
    """The link could not be made here."""


class DelayedLink:
    """The link, from `with` to its end. Needs root, `ip` and /dev/net/tun.

    address: the namespace's end, to which a client connects. Namespaces of runs that were killed
        are removed before a new one is made.
    packet_log: a file that gets one line for each packet (`benchmarks/packets.py`).
    """

    def __init__(self, round_trip_seconds: float, packet_log: Path | None = None) -> None:
        self.round_trip_seconds = round_trip_seconds
        self.namespace = f"{_PREFIX}{os.getpid()}-{next(_serial)}"
        self._subnet = _free_subnet()
        self.address = f"{self._subnet}.2"
        self._packet_log = packet_log

    def __enter__(self) -> Self:
        remove_stale_namespaces()
        _ip("netns", "add", self.namespace)
        argv = [sys.executable, "-m", "benchmarks.relay", self.namespace, self._subnet]
        argv.append(str(self.round_trip_seconds))
        if self._packet_log:
            argv.append(str(self._packet_log))
        try:
            self._relay = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                cwd=_REPOSITORY,
                start_new_session=True,
            )
            self._wait_until_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _wait_until_ready(self) -> None:
        assert self._relay.stdout is not None
        timer = threading.Timer(_SECONDS_TO_START, self._relay.kill)
        timer.start()
        try:
            if self._relay.stdout.readline() != "ready\n":
                assert self._relay.stderr is not None
                raise LinkFailed(f"no link: {self._relay.stderr.read().strip()[-1000:]}")
        finally:
            timer.cancel()

    def __exit__(self, *exception: object) -> None:
        relay = getattr(self, "_relay", None)
        if relay is not None:
            with contextlib.suppress(OSError):
                relay.stdin.close()
            try:
                relay.wait(10)
            except subprocess.TimeoutExpired:
                relay.kill()
                relay.wait()
            relay.stdout.close()
            relay.stderr.close()
        if (_RUN / self.namespace).exists():
            _ip("netns", "delete", self.namespace)

    def inside(self, command: list[str]) -> list[str]:
        """`command`, to be run in the namespace."""
        return ["ip", "netns", "exec", self.namespace, *command]

    def relay_cpu_seconds(self) -> float:
        """CPU that the relay has taken so far: should be far below the time that has passed."""
        fields = Path(f"/proc/{self._relay.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


_RUN = Path("/run/netns")


def remove_stale_namespaces() -> None:
    """Remove the namespaces of runs whose process is gone."""
    for entry in _RUN.glob(f"{_PREFIX}*"):
        owner = entry.name.removeprefix(_PREFIX).partition("-")[0]
        if owner.isdecimal() and not Path("/proc", owner).exists():
            _ip("netns", "delete", entry.name)


def _free_subnet() -> str:
    used = set(re.findall(rf"\b{re.escape(_SUBNETS)}\.(\d+)\.", _ip("-4", "address", "show")))
    for offset in range(254):
        # Two processes that begin at the same moment must not choose the same one.
        number = 1 + (os.getpid() + offset) % 254
        if str(number) not in used:
            return f"{_SUBNETS}.{number}"
    raise LinkFailed(f"all subnets of {_SUBNETS}.0.0/16 are in use")


def _ip(*arguments: str) -> str:
    try:
        done = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    except FileNotFoundError as error:
        raise LinkFailed("ip is not installed (Debian: apt install iproute2)") from error
    if done.returncode:
        raise LinkFailed(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


@dataclass(frozen=True, slots=True)
class LinkFigures:
    """What a link does: a TCP connect's time, and megabytes (10^6) a second of one connection, with
    the relay's share of one core meanwhile."""

    connect_seconds: float
    megabytes_a_second: float
    relay_share: float


_SINK = """
import socket, sys
server = socket.create_server((sys.argv[1], 0))
print(server.getsockname()[1], flush=True)
while True:
    conn = server.accept()[0]
    while conn.recv(1 << 20):
        pass
    conn.sendall(b"!")
    conn.close()
"""


def measure(link: DelayedLink, megabytes: int = 100, connects: int = 10) -> LinkFigures:
    """Connect and send through `link`, to a small server in its namespace."""
    command = link.inside([sys.executable, "-c", _SINK, link.address])
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as sink:
        try:
            assert sink.stdout is not None
            target = (link.address, int(sink.stdout.readline()))
            times = [_seconds_to_connect(target) for _ in range(connects)]
            cpu, begin = link.relay_cpu_seconds(), time.monotonic()
            with socket.create_connection(target, 10) as conn:
                for _ in range(megabytes):
                    conn.sendall(bytes(1_000_000))
                conn.shutdown(socket.SHUT_WR)
                conn.recv(1)
            seconds = time.monotonic() - begin
            share = (link.relay_cpu_seconds() - cpu) / seconds
        finally:
            sink.kill()
    return LinkFigures(median(times), megabytes / seconds, share)


def _seconds_to_connect(target: tuple[str, int]) -> float:
    begin = time.monotonic()
    with socket.create_connection(target, 10):
        return time.monotonic() - begin


if __name__ == "__main__":
    with DelayedLink(float(sys.argv[1] if sys.argv[1:] else 20) / 1000) as measured:
        print(measure(measured))
