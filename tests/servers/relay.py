"""One control connection through the proxy: it knows which reply belongs to which command."""

from __future__ import annotations

import contextlib
import re
import select
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

When = Literal["before", "after"]

_SECONDS_FOR_EARLIER_REPLIES = 10.0
_CHUNK_BYTES = 65536
_FIRST_LINE = re.compile(rb"(\d\d\d)([ -])")


class Observer(Protocol):
    """What a relay tells; called from the relay's threads."""

    def command_arrived(self, command: str) -> When | None:
        """Count it; tell whether the connection is to be cut at it."""

    def logged_in(self) -> None: ...

    def round_trip(self) -> None: ...

    def cut(self) -> None:
        """Close this and every other connection."""

    def ended(self, relay: ControlRelay) -> None:
        """The connection no longer counts as one (may come several times)."""


@dataclass(slots=True)
class _Command:
    text: str
    cut_after: bool = False
    begun: bool = False
    """A reply 1yz has come: what follows depends on the data connection."""


class ControlRelay:
    """Carries lines from client to server and replies back, each direction in its thread."""

    def __init__(self, observer: Observer, client: socket.socket, server: socket.socket) -> None:
        self._observer = observer
        self._client = client
        self._server = server
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # The greeting is a reply, too.
        self._unanswered: deque[_Command] = deque([_Command("")])
        self._answered = threading.Condition()
        self._reply_was_delivered = False
        self._opaque = False
        self._threads = [
            threading.Thread(target=self._run, args=(direction,), daemon=True)
            for direction in (self._client_to_server, self._server_to_client)
        ]
        self._running = len(self._threads)
        self._server_has_left = False

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()

    def close(self) -> None:
        """Hang up on both sides; the threads then end by themselves."""
        for end in (self._client, self._server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def client_has_left(self) -> bool:
        """True as soon as the client has closed, even if its last words are still unread."""
        poll = select.poll()
        poll.register(self._client, getattr(select, "POLLRDHUP", 0))
        return bool(poll.poll(0))

    def _run(self, direction: Callable[[], None]) -> None:
        try:
            direction()
        except OSError:
            # A reset, or a cut: it ends the other direction as well.
            self._observer.ended(self)
            self.close()
            self._server_has_left = True
        with self._answered:
            self._running -= 1
            self._answered.notify_all()
            if self._running:
                return
        self._observer.ended(self)
        self._client.close()
        self._server.close()

    def _client_to_server(self) -> None:
        buffer = b""
        while data := self._client.recv(_CHUNK_BYTES):
            if self._reply_was_delivered:
                self._reply_was_delivered = False
                self._observer.round_trip()
            if self._opaque:
                self._server.sendall(data)
                continue
            *lines, buffer = (buffer + data).split(b"\n")
            if not self._forward(lines):
                return
        self._observer.ended(self)
        self._server.shutdown(socket.SHUT_WR)

    def _forward(self, lines: list[bytes]) -> bool:
        """Send `lines` in one write, as they came; False after a command that ends it all."""
        out = b""
        for line in lines:
            command = _Command(line.rstrip(b"\r").decode("utf-8", "surrogateescape"))
            when = self._observer.command_arrived(command.text)
            if when == "before":
                self._server.sendall(out)
                self._wait_for_earlier_replies()
                self._observer.cut()
                return False
            command.cut_after = when == "after"
            with self._answered:
                self._unanswered.append(command)
            out += line + b"\n"
            if command.cut_after:
                break
        self._server.sendall(out)
        return not (lines and command.cut_after)

    def _wait_for_earlier_replies(self) -> None:
        with self._answered:
            self._answered.wait_for(self._nothing_to_wait_for, _SECONDS_FOR_EARLIER_REPLIES)

    def _nothing_to_wait_for(self) -> bool:
        return not self._unanswered or self._unanswered[0].begun or self._server_has_left

    def _server_to_client(self) -> None:
        buffer = b""
        while data := self._server.recv(_CHUNK_BYTES):
            if self._opaque:
                self._reply_was_delivered = True
                self._client.sendall(data)
                continue
            buffer += data
            for reply in complete_replies(buffer):
                buffer = buffer[len(reply) :]
                if not self._deliver(reply):
                    return
        with self._answered:
            self._server_has_left = True
            self._answered.notify_all()
        if any(command.cut_after for command in self._unanswered):
            self._observer.cut()
            return
        self._observer.ended(self)
        self._client.sendall(buffer)
        self._client.shutdown(socket.SHUT_WR)

    def _deliver(self, reply: bytes) -> bool:
        """Hand one reply on; False if it is the one that must never arrive."""
        command = self._unanswered[0] if self._unanswered else None
        code = reply[:3]
        final = not code.startswith(b"1")
        if command is not None and command.cut_after and final:
            self._observer.cut()
            return False
        if code == b"230":
            self._observer.logged_in()
        elif code == b"221":
            self._observer.ended(self)
        elif code == b"234" and command is not None and command.text.upper().startswith("AUTH"):
            self._opaque = True
        self._reply_was_delivered = True
        self._client.sendall(reply)
        with self._answered:
            if command is not None:
                command.begun = not final
                if final:
                    self._unanswered.popleft()
            self._answered.notify_all()
        return True


def complete_replies(buffer: bytes) -> Iterator[bytes]:
    """The replies (RFC 959, section 4.2; several lines where `-` follows the code) in `buffer`."""
    reply = b""
    code: bytes | None = None
    for line in buffer.splitlines(keepends=True):
        if not line.endswith(b"\n"):
            return
        reply += line
        if code is None:
            first = _FIRST_LINE.match(line)
            if first and first[2] == b"-":
                code = first[1]
                continue
        elif not line.startswith(code + b" "):
            continue
        yield reply
        reply, code = b"", None
