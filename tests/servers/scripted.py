"""A scripted FTP server on loopback: it verifies each command and answers what its script says.

It plays the servers that cannot be installed: those that refuse, lie, hang up or never end. A
script is a list of turns for one control connection. A turn reads all its commands before it
answers the first of them, so it also verifies that the client wrote them without waiting:

    with ScriptedServer([*LOGIN, turn(EPSV, ("STOR /f", "150 go", RECEIVE, "226 done"))]) as server:
        ...

On leaving the block, a command that differed, or a turn that never came, is an AssertionError. Once
a script has ended, QUIT is all that may come.
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

HOST = "127.0.0.1"
USER = "site"
PASSWORD = "Scripted-Tide-2604"
_SECONDS = 10.0
_CHUNK_BYTES = 65536


@dataclass(frozen=True, slots=True)
class Raw:
    """Write these bytes on the control connection, with nothing added."""

    content: bytes


@dataclass(frozen=True, slots=True)
class Endless:
    """Write this line again and again, until the client has hung up."""

    line: bytes


@dataclass(frozen=True, slots=True)
class Receive:
    """Accept the data connection and read it to its end, or `most_bytes` of it and then close."""

    most_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Deliver:
    """Accept the data connection, write `content` and close it."""

    content: bytes


@dataclass(frozen=True, slots=True)
class CloseDataPort:
    """Take no data connection any more: what servers do when they refuse the transfer."""


@dataclass(frozen=True, slots=True)
class HangUp:
    """Close the control connection."""


Action = str | Raw | Endless | Receive | Deliver | CloseDataPort | HangUp
"""A str is a reply line; `{port}` in it opens a listening port, `{high}` and `{low}` its halves."""

Exchange = tuple[str, *tuple[Action, ...]]
"""A command, exactly as it must come, and what is done about it."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Commands that are written together, and what is done about each, in their order."""

    exchanges: tuple[Exchange, ...]


def turn(*exchanges: Exchange) -> Turn:
    return Turn(exchanges)


RECEIVE = Receive()
CLOSE_DATA_PORT = CloseDataPort()
HANG_UP = HangUp()
EPSV: Exchange = ("EPSV", "229 Entering Extended Passive Mode (|||{port}|)")
PASV: Exchange = ("PASV", "227 Entering Passive Mode (127,0,0,1,{high},{low}).")


def login(*features: str) -> list[Turn]:
    """The turns of a login in plain; `features` are the lines of FEAT."""
    listed = "".join(f" {feature}\r\n" for feature in features)
    return [
        turn((f"USER {USER}", "331 password, please")),
        turn((f"PASS {PASSWORD}", "230 welcome")),
        turn(
            ("TYPE I", "200 binary"),
            ("FEAT", f"211-Features:\r\n{listed}211 End"),
            ("OPTS UTF8 ON", "200 UTF8"),
        ),
    ]


LOGIN = login("EPSV", "SIZE", "UTF8")


@dataclass(slots=True)
class ScriptedServer:
    """Plays one script for each connection, in the order in which they come.

    received: the content of every data connection that was read, in order.
    """

    script: Sequence[Turn]
    greeting: Action = "220 scripted"
    further: Sequence[Sequence[Turn]] = ()
    """Scripts of the second and later connections."""
    host: str = HOST
    """Where it listens; `::1` for IPv6."""
    received: list[bytes] = field(default_factory=list)
    port: int = 0
    _faults: list[str] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)
    _listener: socket.socket | None = None

    def __enter__(self) -> Self:
        self._listener = _listen(self.host)
        self._listener.settimeout(_SECONDS)
        self.port = self._listener.getsockname()[1]
        thread = threading.Thread(target=self._accept, args=(self._listener,), daemon=True)
        self._threads.append(thread)
        thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_rest: object) -> None:
        assert self._listener is not None
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes a thread that waits in accept
        for thread in self._threads:
            thread.join(2 * _SECONDS)
        self._listener.close()
        # What went wrong here explains the test's own error, so it is told in either case.
        assert not self._faults, f"the script was not followed: {self._faults}"

    def _accept(self, listener: socket.socket) -> None:
        players = []
        for script in (self.script, *self.further):
            try:
                control, _ = listener.accept()
            except OSError:
                self._faults.append("a connection never came")
                break
            player = threading.Thread(target=self._play, args=(control, script), daemon=True)
            players.append(player)
            player.start()
        for player in players:
            player.join(2 * _SECONDS)

    def _play(self, control: socket.socket, script: Sequence[Turn]) -> None:
        control.settimeout(_SECONDS)
        with _Connection(control, self.host, self.received) as connection:
            try:
                connection.act(self.greeting)
                for number, expected in enumerate(script, 1):
                    if fault := connection.play(expected):
                        self._faults.append(f"turn {number}: {fault}")
                        return
                if not connection.closed and (line := connection.read_line()) not in ("QUIT", ""):
                    self._faults.append(f"after the script came {line!r}")
            except OSError as error:
                self._faults.append(f"{type(error).__name__}: {error}")


def _listen(host: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, 0), family=family)


class _Connection:
    def __init__(self, control: socket.socket, host: str, received: list[bytes]) -> None:
        self._control = control
        self._host = host
        self._reader = control.makefile("rb")
        self._received = received
        self._data_port: socket.socket | None = None
        self.closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._hang_up()
        self._close_data_port()

    def play(self, expected: Turn) -> str | None:
        """Read all the commands, then act; tell what differed."""
        for command, *_ in expected.exchanges:
            if (line := self.read_line()) != command:
                return f"expected {command!r}, got {line!r}"
        for _, *actions in expected.exchanges:
            for action in actions:
                self.act(action)
        return None

    def read_line(self) -> str:
        """One command; "" when the client has hung up, also if it did so with replies unread."""
        try:
            return self._reader.readline().decode("utf-8", "backslashreplace").removesuffix("\r\n")
        except ConnectionResetError:
            return ""

    def act(self, action: Action) -> None:
        match action:
            case str():
                self._control.sendall(self._with_port(action).encode() + b"\r\n")
            case Raw(content):
                self._control.sendall(content)
            case Endless(line):
                # Ends by the client's hanging up, or by the time limit of the socket.
                with contextlib.suppress(ConnectionError):
                    while True:
                        self._control.sendall(line * 100)
            case Receive(most_bytes):
                self._received.append(self._read_data(most_bytes))
            case Deliver(content):
                with self._accepted() as data:
                    data.sendall(content)
            case CloseDataPort():
                self._close_data_port()
            case HangUp():
                self._hang_up()

    def _with_port(self, line: str) -> str:
        if not re.search(r"\{(port|high|low)\}", line):
            return line
        self._close_data_port()
        self._data_port = _listen(self._host)
        self._data_port.settimeout(_SECONDS)
        port = self._data_port.getsockname()[1]
        return line.format(port=port, high=port // 256, low=port % 256)

    def _accepted(self) -> socket.socket:
        assert self._data_port is not None, "the script opens no data port"
        data, _ = self._data_port.accept()
        data.settimeout(_SECONDS)
        self._close_data_port()
        return data

    def _read_data(self, most_bytes: int | None) -> bytes:
        content = b""
        with self._accepted() as data:
            while most_bytes is None or len(content) < most_bytes:
                left = _CHUNK_BYTES if most_bytes is None else most_bytes - len(content)
                if not (chunk := data.recv(min(left, _CHUNK_BYTES))):
                    break
                content += chunk
        return content

    def _close_data_port(self) -> None:
        if self._data_port is not None:
            self._data_port.close()
            self._data_port = None

    def _hang_up(self) -> None:
        self.closed = True
        self._reader.close()
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_WR)
        self._control.close()
