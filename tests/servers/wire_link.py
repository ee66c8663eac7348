"""One connection that a WireProxy carries: what control and data connections have in common."""

from __future__ import annotations

import asyncio
import socket
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Protocol

from tests.servers.wire_faults import Faults
from tests.servers.wire_outlet import Outlet, reset

_CHUNK_BYTES = 65536

Address = tuple[str, int]


class Wire(Protocol):
    """What a link knows of the proxy to which it belongs."""

    faults: Faults
    encrypted: bool
    delay_seconds: float
    merge_seconds: float

    def round_trip(self) -> None: ...

    def command_arrived(self, command: str) -> None: ...

    def logged_in(self) -> None: ...


class Cut(ConnectionResetError):
    """The link ends as if the network had reset it on both sides."""


class Link(ABC):
    """Carries bytes between `client`, which is closed in the end, and the server at `upstream`.

    With a delay the connection is made as slowly as over a real network: what the client writes
    first leaves one round trip after the connect, and the server hears of the connection half a
    round trip later.
    """

    def __init__(self, wire: Wire, client: socket.socket, upstream: Address) -> None:
        self._wire = wire
        self._client = client
        self._upstream = upstream
        self._server = socket.socket()
        for end in (client, self._server):
            end.setblocking(False)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connected = asyncio.Event()
        at_once = asyncio.Event()
        at_once.set()
        delay_seconds = wire.delay_seconds
        self._to_server = Outlet(self._server, delay_seconds=delay_seconds, ready=self._connected)
        self._to_client = Outlet(
            client,
            delay_seconds=delay_seconds,
            merge_seconds=self.merge_seconds(),
            sent=self.client_hears,
            ready=at_once,
        )

    def merge_seconds(self) -> float:
        """How long what goes to the client is held back; see Outlet."""
        return 0.0

    @abstractmethod
    def client_hears(self) -> None:
        """Something leaves for the client now."""

    @abstractmethod
    async def from_client(self, data: bytes) -> None:
        """Bytes have come; b"" is the end."""

    @abstractmethod
    async def from_server(self, data: bytes) -> None:
        """Likewise."""

    async def carry(self) -> None:
        """Until both directions have ended, or one has broken."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._connect())
                tasks.create_task(self._read(self._client, self._after_connect, self.from_client))
                tasks.create_task(self._read(self._server, self._connected.wait, self.from_server))
                tasks.create_task(self._to_server.run())
                tasks.create_task(self._to_client.run())
        except* OSError:
            reset(self._client)
            reset(self._server)
        finally:
            self._client.close()
            self._server.close()

    async def _connect(self) -> None:
        await asyncio.sleep(3 * self._wire.delay_seconds)
        await asyncio.get_running_loop().sock_connect(self._server, self._upstream)
        self._connected.set()

    async def _after_connect(self) -> None:
        await asyncio.sleep(2 * self._wire.delay_seconds)

    async def _read(
        self,
        sock: socket.socket,
        beginning: Callable[[], Awaitable[object]],
        arrived: Callable[[bytes], Awaitable[None]],
    ) -> None:
        await beginning()
        while data := await asyncio.get_running_loop().sock_recv(sock, _CHUNK_BYTES):
            await arrived(data)
        await arrived(b"")
