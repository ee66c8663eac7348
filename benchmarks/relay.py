"""Carries packets between two TUN devices, each half a round trip late; a process of its own.

It makes both devices, moves the second into the network namespace, and prints `ready`. It ends when
its standard input ends, and deletes the namespace then: a run that is killed leaves nothing behind.

    python -m benchmarks.relay NAMESPACE SUBNET ROUND_TRIP_SECONDS [PACKET_LOG]

SUBNET is the first three numbers of an IPv4 address: ours is SUBNET.1, the namespace's SUBNET.2.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import struct
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from typing import TextIO

from benchmarks.packets import describe

_TUN = "/dev/net/tun"
# linux/if_tun.h
_TUNSETIFF = 0x400454CA
_TUNSETOFFLOAD = 0x400454D0
_IFF_TUN, _IFF_NO_PI, _IFF_VNET_HDR = 0x0001, 0x1000, 0x4000
_OFFLOAD_CSUM, _OFFLOAD_TSO4, _OFFLOAD_TSO6 = 0x01, 0x02, 0x04
_HEADER_BYTES = 10  # struct virtio_net_hdr
_LONGEST_BYTES = _HEADER_BYTES + 65535 + 64
_QUEUE_PACKETS = 10_000
_PACKETS_A_TURN = 64


class Device:
    """One TUN device. Whole segments of up to 64 kB pass, their checksums not yet computed, as on
    loopback; but TCP sees the MTU of an Ethernet, and so a real slow start."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.file = os.open(_TUN, os.O_RDWR | os.O_NONBLOCK)
        flags = _IFF_TUN | _IFF_NO_PI | _IFF_VNET_HDR
        fcntl.ioctl(self.file, _TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
        fcntl.ioctl(self.file, _TUNSETOFFLOAD, _OFFLOAD_CSUM | _OFFLOAD_TSO4 | _OFFLOAD_TSO6)

    def read(self) -> bytes | None:
        try:
            return os.read(self.file, _LONGEST_BYTES)
        except BlockingIOError:
            return None

    def write(self, packet: bytes) -> None:
        # A full queue loses the packet, as on any link.
        with contextlib.suppress(BlockingIOError):
            os.write(self.file, packet)


class Direction:
    """Packets on the way from `source` to `target`.

    delay_seconds: of each packet. log: where to tell of them; each line's time is that at which
        the client sends or receives (`time.monotonic`).
    """

    def __init__(
        self, source: Device, target: Device, delay_seconds: float, log: TextIO | None, sent: bool
    ) -> None:
        self.source = source
        self.target = target
        self._delay_seconds = delay_seconds
        self._log = log
        self._sent = sent
        self._on_the_way: deque[tuple[float, bytes]] = deque()

    def take(self) -> None:
        """Read some of what waits at the source."""
        for _ in range(_PACKETS_A_TURN):
            packet = self.source.read()
            if packet is None:
                return
            now = time.monotonic()
            self._on_the_way.append((now + self._delay_seconds, packet))
            if self._log and self._sent:
                self._tell(now, packet)

    def deliver(self) -> float | None:
        """Write what is due; gives the time at which the next packet is."""
        waiting = self._on_the_way
        while waiting:
            due, packet = waiting[0]
            if due > time.monotonic():
                return due
            waiting.popleft()
            self.target.write(packet)
            if self._log and not self._sent:
                self._tell(due, packet)
        return None

    def _tell(self, moment: float, packet: bytes) -> None:
        print(f"{moment:.6f} {describe(packet[_HEADER_BYTES:], self._sent)}", file=self._log)


def carry(directions: tuple[Direction, Direction]) -> None:
    """Until standard input ends."""
    standard_input = 0
    by_file = {direction.source.file: direction for direction in directions}
    while True:
        due = [moment for d in directions if (moment := d.deliver()) is not None]
        seconds = max(0.0, min(due) - time.monotonic()) if due else None
        # select() waits for microseconds; poll() and epoll of Python 3.11 for milliseconds.
        readable, _, _ = select.select([standard_input, *by_file], [], [], seconds)
        for file in readable:
            if file == standard_input:
                return
            by_file[file].take()


def main(arguments: list[str]) -> int:
    namespace, subnet, round_trip, *log_file = arguments
    # A Ctrl-C at the terminal is for the run, which then closes the pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    tail = subnet.rpartition(".")[2]
    try:
        near, far = Device(f"ferry{tail}near"), Device(f"ferry{tail}far")
        _ip("link", "set", far.name, "netns", namespace)
        _set_up(near, f"{subnet}.1/30")
        _set_up(far, f"{subnet}.2/30", "-netns", namespace)
        _ip("-netns", namespace, "link", "set", "lo", "up")
        with contextlib.ExitStack() as stack:
            log = stack.enter_context(Path(log_file[0]).open("w")) if log_file else None
            delay = float(round_trip) / 2
            there = Direction(near, far, delay, log, sent=True)
            back = Direction(far, near, delay, log, sent=False)
            print("ready", flush=True)
            carry((there, back))
    finally:
        subprocess.run(["ip", "netns", "delete", namespace], capture_output=True)
    return 0


def _set_up(device: Device, address: str, *where: str) -> None:
    _ip(*where, "address", "add", address, "dev", device.name)
    _ip(*where, "link", "set", device.name, "txqueuelen", str(_QUEUE_PACKETS), "up")


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
