"""What the kernel is asked for, where it offers it (Linux)."""

from __future__ import annotations

import select
import socket
import ssl
import struct
import sys
from collections.abc import Iterator, Sequence

_SMALLEST_SEGMENT_BYTES = 500
"""No path has smaller segments (RFC 879, section 1: 536), with room for TCP's options."""
_OPTIONS_BYTES = 40
_END_OF_RECORD = socket.MSG_EOR if sys.platform == "linux" else 0
_IDLE_SECONDS, _PROBE_SECONDS, _PROBES = 30, 10, 6


def set_deadline(sock: socket.socket, seconds: float) -> None:
    """Have each call on `sock` wait for so long at most.

    In plain the kernel keeps the time: Python's own way asks poll() before each call, and takes and
    gives up the interpreter's lock twice for it. A call that takes too long raises BlockingIOError
    then (see `too_long`), with Python's way TimeoutError; both are OSError. OpenSSL needs Python's.
    """
    if isinstance(sock, ssl.SSLSocket) or sys.platform != "linux":
        sock.settimeout(seconds)
        return
    sock.settimeout(None)
    whole, part = divmod(seconds, 1)
    value = struct.pack("@ll", int(whole), int(part * 1_000_000))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, value)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, value)


def too_long(error: OSError) -> bool:
    """Whether a call that `set_deadline` limits took too long."""
    return isinstance(error, (TimeoutError, BlockingIOError))


def told(error: OSError) -> str:
    """What a call failed with, in words."""
    return "timed out" if too_long(error) else error.strerror or str(error)


def cork(sock: socket.socket, on: bool) -> None:
    """Hold back what is written until the cork is off again, so that it leaves together."""
    if hasattr(socket, "TCP_CORK"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, int(on))


def quick_ack(sock: socket.socket) -> None:
    """Acknowledge at once what is read next; the kernel forgets it, so before each read.

    vsftpd keeps Nagle's algorithm on: its 226 waits for our acknowledgement of the 150.
    """
    if hasattr(socket, "TCP_QUICKACK"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


def keep_alive(sock: socket.socket) -> None:
    """Have the kernel probe a silent connection: a NAT box between forgets one that says nothing
    while a long file is on its way, and a peer that is gone is noticed in a minute and a half."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", _IDLE_SECONDS),
        ("TCP_KEEPINTVL", _PROBE_SECONDS),
        ("TCP_KEEPCNT", _PROBES),
    ):
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def has_hung_up(sock: socket.socket) -> bool:
    """Whether the other side has closed, or reset, a connection on which nothing is under way; asks
    nobody. False where the kernel does not tell (not Linux)."""
    poll = select.poll()
    poll.register(sock, getattr(select, "POLLRDHUP", 0))
    return bool(poll.poll(0))


def send_whole_lines(sock: socket.socket, lines: Sequence[bytes]) -> None:
    """Write lines so that no TCP segment ends inside one of them, as far as they fit into one.

    ProFTPD 1.3.8 joins two commands when the first one's CR and LF reach it in two reads. On Linux
    MSG_EOR keeps what is written next out of the segment.
    """
    for block in _blocks(lines, _segment_bytes(sock, sum(map(len, lines)))):
        left = memoryview(block)
        while left:
            left = left[sock.send(left, _END_OF_RECORD) :]


def _segment_bytes(sock: socket.socket, wanted: int) -> int:
    if wanted <= _SMALLEST_SEGMENT_BYTES:
        return wanted
    told = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)
    return max(told - _OPTIONS_BYTES, _SMALLEST_SEGMENT_BYTES)


def _blocks(lines: Sequence[bytes], most_bytes: int) -> Iterator[bytes]:
    block = b""
    for line in lines:
        if block and len(block) + len(line) > most_bytes:
            yield block
            block = b""
        block += line
    if block:
        yield block
