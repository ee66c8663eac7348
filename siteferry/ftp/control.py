"""The control connection on the wire: command lines out, replies of bounded size in."""

from __future__ import annotations

import select
import socket
import ssl
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Literal

from siteferry.errors import SessionLost
from siteferry.ftp.replies import Reply, parse_reply
from siteferry.ftp.sockets import cork, quick_ack, send_whole_lines

_LONGEST_LINE_BYTES = 8192
_MOST_REPLY_LINES = 1000
_READ_BYTES = 16 * 1024


class ControlChannel:
    """A connected control connection, plain or TLS. OSError from the socket is left to the caller.

    A line is text in the session's encoding; bytes that are none come out as `\\xNN`.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.acknowledges_at_once = True
        """For servers that hold a reply back until the one before is acknowledged (Nagle); with
        others each is a packet for nothing."""
        self._buffer = bytearray()
        self._searched = 0

    @property
    def encrypted(self) -> bool:
        return isinstance(self.sock, ssl.SSLSocket)

    def write(self, lines: Sequence[bytes]) -> None:
        """Write command lines so that they leave together; under TLS each is a record of its own.

        Pure-FTPd waits with poll() and does not see a second command that OpenSSL has already read
        with the first one; corking lets the separate records share a segment all the same.
        """
        if not self.encrypted:
            send_whole_lines(self.sock, lines)
            return
        if len(lines) > 1:
            cork(self.sock, True)
        for line in lines:
            self.sock.sendall(line)
        if len(lines) > 1:
            cork(self.sock, False)

    def read_reply(self, encoding: str) -> Reply:
        """Read one reply, preliminary or final (RFC 959, section 4.2).

        Raises:
            SessionLost: what came is no reply, has no end, or the server hung up.
        """
        first = self.read_line(encoding)
        # The code is looked at first: "SSH-2.0-..." is not the first line of many.
        reply = parse_reply((first,))
        if first[3:4] != "-":
            return reply
        lines = [first]
        last = first[:3] + " "
        while len(lines) < 2 or not lines[-1].startswith(last):
            lines.append(self.read_line(encoding))
            if len(lines) > _MOST_REPLY_LINES:
                raise SessionLost("the server sent a reply without an end")
        return parse_reply(tuple(lines))

    def read_line(self, encoding: str) -> str:
        """Read one line, without its end.

        Raises:
            SessionLost: the server hung up, or the line is too long.
        """
        while (end := self._buffer.find(b"\n", self._searched)) < 0:
            self._searched = len(self._buffer)
            if self._searched > _LONGEST_LINE_BYTES:
                raise SessionLost("the server sent a reply line that is too long")
            if not self._fill():
                self._hung_up()
        if end > _LONGEST_LINE_BYTES:
            raise SessionLost("the server sent a reply line that is too long")
        raw = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        self._searched = 0
        return raw.rstrip(b"\r").decode(encoding, "backslashreplace")

    def end_or_reply(self, data: socket.socket, seconds: float) -> Literal["end", "reply"] | None:
        """Which comes first: the end of `data`, on which nothing is sent to us, or something on
        this connection; None when `seconds` pass. Raises OSError when `data` was reset."""
        poll = select.poll()
        poll.register(data, select.POLLIN)
        poll.register(self.sock, select.POLLIN)
        ready = {descriptor for descriptor, _ in poll.poll(0 if self._buffer else seconds * 1000)}
        if data.fileno() in ready:
            data.recv(1)
            return "end"
        return "reply" if ready or self._buffer else None

    def something_waits(self) -> bool:
        """Whether a part of a reply, or the connection's end, can be read without waiting. A record
        of TLS itself, such as a session ticket, is nothing."""
        if self._buffer:
            return True
        seconds = self.sock.gettimeout()
        self.sock.settimeout(0)
        try:
            # At the end nothing is added; the next read tells of it.
            self._buffer += self.sock.recv(_READ_BYTES)
        except (ssl.SSLWantReadError, BlockingIOError):
            return False
        finally:
            self.sock.settimeout(seconds)
        return True

    def await_end(self, seconds: float) -> None:
        """Read until the server has closed, for `seconds` at most."""
        deadline = time.monotonic() + seconds
        with suppress(OSError):
            while (left := deadline - time.monotonic()) > 0:
                self.sock.settimeout(left)
                if not self.sock.recv(_READ_BYTES):
                    return

    def close(self) -> None:
        """Close at once, whatever state it is in."""
        with suppress(OSError):
            self.sock.close()

    def _fill(self) -> bool:
        if self.acknowledges_at_once:
            quick_ack(self.sock)
        chunk = self.sock.recv(_READ_BYTES)
        self._buffer += chunk
        return bool(chunk)

    def _hung_up(self) -> None:
        if self._buffer:
            raise SessionLost(
                "the server hung up in the middle of a reply", reply=repr(bytes(self._buffer))
            )
        raise SessionLost("the server closed the control connection")
