"""What may go wrong on the way between client and server, as a test asks a `WireProxy` for it.

Faults count from the moment in which they are injected: `connection` is the k-th data connection
from then on, `number` the n-th command line from then on that begins with `command` ("" is any).
What looks at commands or replies needs a plain control connection; the others work under TLS, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tests.servers.relay import When

Direction = Literal["up", "down"]
"""From client to server, or back."""


@dataclass(frozen=True, slots=True)
class CutData:
    """After `after_bytes` in `direction` both ends of the data connection see a reset."""

    after_bytes: int
    direction: Direction = "up"
    connection: int = 1


@dataclass(frozen=True, slots=True)
class Truncate:
    """After `after_bytes` the receiver sees an orderly end; the sender never notices.

    Up, the server takes a part for the whole file and says 226; down, the client sees a listing or
    a document that ends early while the server's final reply is as always.
    """

    after_bytes: int
    direction: Direction = "up"
    connection: int = 1


@dataclass(frozen=True, slots=True)
class Blackhole:
    """After `after_bytes` in `direction` nothing passes either way, and nothing is closed.

    With 0 the data connection is accepted, and the server never hears of it.
    """

    after_bytes: int = 0
    direction: Direction = "up"
    connection: int = 1


@dataclass(frozen=True, slots=True)
class RefuseDataConnect:
    """The `connection`-th data connection and all later ones are refused, until `heal`."""

    connection: int = 1


@dataclass(frozen=True, slots=True)
class CutControl:
    """Both ends of the control connection see a reset.

    before: the server never gets the command; what was ahead of it has been answered.
    after: the server has carried it out, and the client never sees the final reply.
    """

    command: str = ""
    number: int = 1
    when: When = "before"


@dataclass(frozen=True, slots=True)
class CutControlAtByte:
    """The same after `after_bytes` more bytes of any control connection in `direction`."""

    after_bytes: int
    direction: Direction = "up"


@dataclass(frozen=True, slots=True)
class SayInstead:
    """The server carries the command out, and `reply` takes the place of its final reply."""

    command: str
    reply: str
    number: int = 1
    then_hang_up: bool = False


@dataclass(frozen=True, slots=True)
class EndlessReply:
    """In place of the final reply comes `line`, again and again, until the client hangs up."""

    command: str
    line: str = "211-and so on"
    number: int = 1


@dataclass(frozen=True, slots=True)
class Silent:
    """That command and all that follow are swallowed; the connection stays open."""

    command: str = ""
    number: int = 1


@dataclass(frozen=True, slots=True)
class WrongPassiveAddress:
    """Every reply 227 tells this address, as a server behind a NAT does."""

    address: str = "10.0.0.1"


DataFault = CutData | Truncate | Blackhole
CommandFault = CutControl | SayInstead | EndlessReply | Silent
Fault = DataFault | CommandFault | RefuseDataConnect | CutControlAtByte | WrongPassiveAddress


class Faults:
    """What has been injected, and how often it has been passed since."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self._injected: list[Fault] = []
        self._passed: dict[Fault, int] = {}

    def inject(self, fault: Fault) -> None:
        self._injected.append(fault)
        self._passed[fault] = 0

    def at_command(self, line: str) -> CommandFault | None:
        """Tell of a command that has come, and what is to be done about it."""
        due: CommandFault | None = None
        for fault in self._injected:
            if isinstance(fault, CommandFault) and line.startswith(fault.command):
                self._passed[fault] += 1
                if self._passed[fault] == fault.number:
                    due = due or fault
        return due

    def at_data_connection(self) -> DataFault | None:
        """Tell of a data connection that has come, and what is to be done about it."""
        due: DataFault | None = None
        for fault in self._injected:
            if isinstance(fault, DataFault | RefuseDataConnect):
                self._passed[fault] += 1
            if isinstance(fault, DataFault) and self._passed[fault] == fault.connection:
                due = due or fault
        return due

    def refuses_data(self) -> bool:
        """Whether the next data connection is to be refused."""
        return any(
            isinstance(fault, RefuseDataConnect) and self._passed[fault] >= fault.connection - 1
            for fault in self._injected
        )

    def control_bytes(self, direction: Direction, count: int) -> int | None:
        """Tell of bytes that have come, and how many of them pass before a cut; None: no cut."""
        for fault in self._injected:
            if isinstance(fault, CutControlAtByte) and fault.direction == direction:
                before = self._passed[fault]
                self._passed[fault] += count
                if before <= fault.after_bytes < before + count:
                    return fault.after_bytes - before
        return None

    def passive_address(self) -> str | None:
        for fault in self._injected:
            if isinstance(fault, WrongPassiveAddress):
                return fault.address
        return None
