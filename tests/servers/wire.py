"""A proxy for control and data connections, also under TLS, which passes through it end to end.

It counts round trips, delays, and injects faults (`wire_faults`). It listens on an address of
loopback of its own, at the server's control port and at each of its passive ports, and forwards to
the same port of the server; a client that connects to its control connection's peer, as EPSV asks,
comes through without a word of the dialogue being changed.

    wire.py          the proxy: listening, counts, faults
    wire_faults.py   the faults, as values
    wire_link.py     one carried connection
    wire_control.py  a control connection
    wire_data.py     a data connection
    wire_outlet.py   one direction's way out: delay, merging
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import itertools
import os
import socket
import threading
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import Future
from typing import Self

from tests.servers.base import FtpServer
from tests.servers.wire_control import ControlLink
from tests.servers.wire_data import DataLink
from tests.servers.wire_faults import Fault, Faults
from tests.servers.wire_link import Link

_SECONDS = 20.0
_serial = itertools.count()


class WireProxy:
    """A context manager; `server` is the server as clients see it through the proxy.

    The certificate does not name that address: sessions pin its fingerprint,
    `session_on(proxy.server, fingerprint=proxy.server.fingerprint)`, which in plain is None.

    delay_seconds: how long each piece takes one way; a connect takes three times as long until the
        server knows of it. A round trip costs twice as much.
    merge_seconds: replies are held until both sides of the control connection have been silent for
        so long, and then leave together. What a client writes while replies trickle in is then one
        round trip, not by chance several.

    round_trips: how often clients had to wait for the network: each write on a control connection
        that came after a reply had reached the client; for each data connection the connect, the
        first thing said on it, and what a TLS handshake adds (`wire_data.DataTurns`).
    connections, data_connections: so far.
    commands, logins: command lines and replies 230, as far as they went over in plain.
    """

    def __init__(
        self, server: FtpServer, *, delay_seconds: float = 0.0, merge_seconds: float = 0.0
    ) -> None:
        self.server = copy.copy(server)
        self.server.host = self.host = _own_address()
        self.delay_seconds = delay_seconds
        self.merge_seconds = merge_seconds
        self.encrypted = server.tls
        self.faults = Faults()
        self.round_trips = 0
        self.connections = 0
        self.data_connections = 0
        self.commands: list[str] = []
        self.logins = 0
        self._upstream_host = server.host
        ports = server._ports
        self._control = _Listeners(self.host, [server.port], self._carry_control)
        self._data = _Listeners(
            self.host, range(ports.passive_first, ports.passive_last + 1), self._carry_data
        )
        self._links: set[asyncio.Task[None]] = set()
        self._broken: list[BaseException] = []
        self._loop: Future[asyncio.AbstractEventLoop] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def inject(self, fault: Fault) -> None:
        """Let `fault` happen; several may be in wait at a time."""

        async def inject() -> None:
            self.faults.inject(fault)
            self._open_or_refuse()

        self._in_the_loop(inject())

    def heal(self) -> None:
        """Forget all faults that are still in wait, and take data connections again."""

        async def heal() -> None:
            self.faults.clear()
            self._open_or_refuse()

        self._in_the_loop(heal())

    def __enter__(self) -> Self:
        self._thread.start()
        self._loop.result(_SECONDS)
        return self

    def __exit__(self, *exception: object) -> None:
        """Close every connection and the ports. Raises what went wrong in the proxy itself."""

        async def stop() -> None:
            self._stopping.set()

        self._in_the_loop(stop())
        self._thread.join(_SECONDS)
        assert not self._thread.is_alive(), "the proxy does not stop"
        for error in self._broken:
            raise error

    def _in_the_loop(self, work: Coroutine[None, None, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop.result()).result(_SECONDS)

    async def _serve(self) -> None:
        self._stopping = asyncio.Event()
        try:
            self._control.open()
            self._data.open()
        except OSError as error:
            self._loop.set_exception(error)
            return
        self._loop.set_result(asyncio.get_running_loop())
        await self._stopping.wait()
        self._control.close()
        self._data.close()
        for link in self._links:
            link.cancel()
        await asyncio.gather(*self._links, return_exceptions=True)

    def _open_or_refuse(self) -> None:
        if self.faults.refuses_data():
            self._data.close()
        else:
            self._data.open()

    def _carry_control(self, client: socket.socket, port: int) -> None:
        self.connections += 1
        self._carry(ControlLink(self, client, (self._upstream_host, port)))

    def _carry_data(self, client: socket.socket, port: int) -> None:
        self.data_connections += 1
        fault = self.faults.at_data_connection()
        self._carry(DataLink(self, client, (self._upstream_host, port), fault))
        self._open_or_refuse()

    def _carry(self, link: Link) -> None:
        task = asyncio.create_task(link.carry())
        self._links.add(task)
        task.add_done_callback(self._carried)

    def _carried(self, task: asyncio.Task[None]) -> None:
        self._links.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self._broken.append(error)

    # What the links tell.

    def round_trip(self) -> None:
        self.round_trips += 1

    def command_arrived(self, command: str) -> None:
        self.commands.append(command)

    def logged_in(self) -> None:
        self.logins += 1


class _Listeners:
    """Accepts on all of `ports`, from `open` until `close`; both may come twice."""

    def __init__(
        self, host: str, ports: Iterable[int], accepted: Callable[[socket.socket, int], None]
    ) -> None:
        self._addresses = [(host, port) for port in ports]
        self._accepted = accepted
        self._open: list[socket.socket] = []

    def open(self) -> None:
        if self._open:
            return
        with contextlib.ExitStack() as bound:
            for address in self._addresses:
                listener = bound.enter_context(socket.create_server(address, backlog=100))
                listener.setblocking(False)
                self._open.append(listener)
            bound.pop_all()
        for listener in self._open:
            asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    def close(self) -> None:
        for listener in self._open:
            asyncio.get_running_loop().remove_reader(listener)
            listener.close()
        self._open.clear()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionAbortedError):
            client, _ = listener.accept()
            self._accepted(client, listener.getsockname()[1])


def _own_address() -> str:
    """An address of loopback (127.0.0.0/8) that no other proxy has, in this or another process."""
    number = os.getpid() * 64 + next(_serial) % 64
    return f"127.{64 + (number >> 16) % 128}.{number >> 8 & 255}.{number & 255}"
