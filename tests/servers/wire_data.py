"""A data connection that a WireProxy carries, as it is, TLS included."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from tests.servers.wire_faults import Blackhole, CutData, DataFault, Direction, Truncate
from tests.servers.wire_link import Address, Cut, Link, Wire
from tests.servers.wire_outlet import Outlet

_APPLICATION_DATA = 23
_RECORD_HEADER_BYTES = 5


class DataLink(Link):
    """`fault` is what happens to this connection, once it has carried the fault's bytes."""

    def __init__(
        self, wire: Wire, client: socket.socket, upstream: Address, fault: DataFault | None
    ) -> None:
        super().__init__(wire, client, upstream)
        self._fault = fault
        self._failed = False
        self._passed = 0
        self._outlets: dict[Direction, Outlet] = {"up": self._to_server, "down": self._to_client}
        self._turns = DataTurns(wire.round_trip, encrypted=wire.encrypted)
        wire.round_trip()  # the connect itself

    def client_hears(self) -> None:
        self._turns.client_heard()

    async def from_client(self, data: bytes) -> None:
        self._turns.client_wrote(data)
        await self._pass_on("up", data)

    async def from_server(self, data: bytes) -> None:
        await self._pass_on("down", data)

    async def _connect(self) -> None:
        at_once = self._fault if self._fault and self._fault.after_bytes == 0 else None
        if isinstance(at_once, Blackhole):
            await self._fail(at_once)
        await super()._connect()
        if at_once and not self._failed:
            await self._fail(at_once)

    async def _pass_on(self, direction: Direction, data: bytes) -> None:
        fault, outlet = self._fault, self._outlets[direction]
        if fault is None or (direction != fault.direction and not self._failed):
            await (outlet.put(data) if data else outlet.end())
        elif self._failed:
            await self._after_failure(fault, direction, data)
        elif not data:
            await outlet.end()
        else:
            await outlet.put(data[: fault.after_bytes - self._passed])
            self._passed += len(data)
            if self._passed >= fault.after_bytes:
                await self._fail(fault)

    async def _fail(self, fault: DataFault) -> None:
        self._failed = True
        outlet = self._outlets[fault.direction]
        match fault:
            case CutData():
                await self._connected.wait()
                await outlet.flush()
                raise Cut
            case Truncate():
                await outlet.end()
            case Blackhole():
                await _for_ever()

    async def _after_failure(self, fault: DataFault, direction: Direction, data: bytes) -> None:
        if isinstance(fault, Blackhole):
            await _for_ever()
        elif direction != fault.direction and data:
            await self._outlets[direction].put(data)
        elif direction == fault.direction and not data:
            # Only now, so that the sender could finish as if nothing had happened.
            for outlet in self._outlets.values():
                await outlet.end()


class DataTurns:
    """Counts the times that a client has to wait on one data connection, the connect aside.

    One is the first thing that is said, or the end where nothing is. Under TLS each flight of the
    client that answers the server is another, as long as the handshake lasts. After that, which the
    client's first record of application data tells (it is its Finished in TLS 1.3), data goes one
    way: tickets that the server sends meanwhile are nothing that anybody waits for.
    """

    def __init__(self, count: Callable[[], None], *, encrypted: bool) -> None:
        self._count = count
        self._begun = self._heard = False
        self._handshake = encrypted
        self._records = RecordTypes()

    def client_wrote(self, data: bytes) -> None:
        if not self._begun or (self._heard and self._handshake):
            self._count()
        self._begun, self._heard = True, False
        if self._handshake:
            self._handshake = _APPLICATION_DATA not in self._records.among(data)

    def client_heard(self) -> None:
        if not self._begun:
            self._count()
        self._begun = self._heard = True


class RecordTypes:
    """Finds the content types of TLS records (RFC 8446, section 5.1) in a stream."""

    def __init__(self) -> None:
        self._rest = b""
        self._skip = 0

    def among(self, data: bytes) -> set[int]:
        """Types of the records that begin in `data`, which follows what was given before."""
        types: set[int] = set()
        data = self._rest + data
        while len(data) - self._skip >= _RECORD_HEADER_BYTES:
            header = data[self._skip : self._skip + _RECORD_HEADER_BYTES]
            types.add(header[0])
            self._skip += _RECORD_HEADER_BYTES + int.from_bytes(header[3:])
        self._rest = data[self._skip :]
        self._skip = max(0, self._skip - len(data))
        return types


async def _for_ever() -> None:
    await asyncio.Event().wait()
