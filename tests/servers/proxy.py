"""A proxy for FTP control connections: it counts, and it cuts at a chosen command.

Data connections do not pass through it: the replies to EPSV and PASV lead to the server itself,
which is on the same address. After AUTH TLS has been accepted a connection is carried as it is, and
only connections and round trips are counted.
"""

from __future__ import annotations

import contextlib
import random
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Self

from tests.servers.ports import HOST
from tests.servers.relay import ControlRelay, When

if TYPE_CHECKING:
    from tests.servers.base import FtpServer

# Above the servers' ports, below those of outgoing connections: a proxy that is cut gives its port
# up and wants the same one again.
_PORTS = range(32000, 32768)


class FtpProxy:
    """Listens on loopback from the beginning; a context manager that stops it.

    commands: every command line of every client, in the order of arrival, without its line end.
    connections, most_connections: control connections so far, and at a time at most.
    logins: replies 230 that went to clients.
    round_trips: how often a client wrote on a control connection after a reply had reached it.
        Commands that are written together are one; data connections are not in it.
    dead: true from a cut until `revive`: further connections are refused.
    """

    def __init__(self, upstream_host: str, upstream_port: int) -> None:
        self.host = HOST
        self.port = 0
        self.commands: list[str] = []
        self.connections = 0
        self.most_connections = 0
        self.logins = 0
        self.round_trips = 0
        self.dead = False
        self._upstream = (upstream_host, upstream_port)
        self._lock = threading.RLock()
        self._died = threading.Event()
        self._open: set[ControlRelay] = set()
        self._relays: list[ControlRelay] = []
        self._cut_now: Callable[[int, str], bool] = _never
        self._cut_when: When = "before"
        self._listen()

    @classmethod
    def in_front_of(cls, server: FtpServer) -> Self:
        """The proxy; `server.through(proxy.port)` is the server as clients then see it."""
        return cls(server.host, server.port)

    def cut_at(self, number: int, when: When = "before") -> None:
        """Cut at the command that becomes the `number`th (from 1) in `commands`.

        A cut closes every connection at once, and the proxy is dead until `revive`.

        before: the server never gets that command. It has carried out all that the same connection
            brought before, and the client has seen the replies.
        after: the server has carried the command out (a transfer: to its end), and the client
            never sees the reply. Nothing that the client wrote behind it reaches the server.
        """
        self._set_cut(lambda count, _command: count == number, when)

    def cut_matching(
        self, matching: Callable[[str], bool], when: When = "before", *, number: int = 1
    ) -> None:
        """Cut, as `cut_at` does, at the `number`th command from now on that `matching` accepts."""
        left = number

        def decide(_count: int, command: str) -> bool:
            nonlocal left
            left -= matching(command)
            return left == 0

        self._set_cut(decide, when)

    def _set_cut(self, decide: Callable[[int, str], bool], when: When) -> None:
        with self._lock:
            self._cut_now, self._cut_when = decide, when

    def wait_until_dead(self, timeout_seconds: float = 30.0) -> bool:
        """Wait for the cut; False if it does not come in time."""
        return self._died.wait(timeout_seconds)

    def revive(self) -> None:
        """Accept connections again, on the same port; no cut is planned any more."""
        with self._lock:
            self._cut_now = _never
            if not self.dead:
                return
        self._acceptor.join()  # until it has given up the port
        with self._lock:
            self.dead = False
            self._died.clear()
            self._listen()

    def stop(self) -> None:
        """Close every connection and the port."""
        self.cut()
        self._acceptor.join()
        for relay in self._relays:
            relay.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def _listen(self) -> None:
        wanted = [self.port] if self.port else random.sample(_PORTS, len(_PORTS))
        for port in wanted:
            with contextlib.suppress(OSError):
                self._listener = socket.create_server((self.host, port), backlog=100)
                break
        else:
            raise RuntimeError(f"no free port for a proxy among {wanted[:3]}...")
        self.port = port
        self._acceptor = threading.Thread(target=self._accept, args=(self._listener,), daemon=True)
        self._acceptor.start()

    def _accept(self, listener: socket.socket) -> None:
        with listener:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return  # shut down by a cut
                with self._lock:
                    if self.dead:
                        client.close()
                        return
                    self._carry(client)

    def _carry(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self._upstream)
        except OSError:
            client.close()  # the server is down
            return
        relay = ControlRelay(self, client, server)
        self._relays.append(relay)
        # Who has hung up and comes again is one connection, even if we have not read the end yet.
        self._open = {other for other in self._open if not other.client_has_left()} | {relay}
        self.connections += 1
        self.most_connections = max(self.most_connections, len(self._open))
        relay.start()

    # What the relays tell.

    def command_arrived(self, command: str) -> When | None:
        with self._lock:
            self.commands.append(command)
            return self._cut_when if self._cut_now(len(self.commands), command) else None

    def logged_in(self) -> None:
        with self._lock:
            self.logins += 1

    def round_trip(self) -> None:
        with self._lock:
            self.round_trips += 1

    def ended(self, relay: ControlRelay) -> None:
        with self._lock:
            self._open.discard(relay)

    def cut(self) -> None:
        """Close every connection at once, and refuse further ones until `revive`."""
        with self._lock:
            if self.dead:
                return
            self.dead = True
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            for relay in self._relays:
                relay.close()
        self._died.set()


def _never(_count: int, _command: str) -> bool:
    return False
