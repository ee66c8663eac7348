"""TCP connections to the host: the control connection, and data connections to the same address."""

from __future__ import annotations

import socket

from siteferry.errors import HostUnknown, HostUnreachable
from siteferry.ftp.endpoint import Endpoint
from siteferry.ftp.sockets import keep_alive, set_deadline


def dial(endpoint: Endpoint) -> socket.socket:
    """Connect to the endpoint, over IPv6 or IPv4, whichever of its addresses answers first in the
    order in which the resolver gives them.

    Raises:
        HostUnknown: its name does not resolve.
        HostUnreachable: nothing answers there.
    """
    host, port = endpoint.host, endpoint.port
    try:
        sock = socket.create_connection((host, port), timeout=endpoint.deadlines.connect_seconds)
    except socket.gaierror as error:
        raise HostUnknown(
            f"the host name {host} does not resolve: {error.strerror}",
            next_step="Correct ftp.host of the website, or the machine's DNS.",
        ) from error
    except OSError as error:
        raise HostUnreachable(
            f"nothing answers at {host}:{port}: {error.strerror or error}",
            next_step="Check ftp.host and ftp.port, and that no firewall stands between.",
        ) from error
    set_deadline(sock, endpoint.deadlines.control_seconds)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    keep_alive(sock)
    return sock


def data_address(control: socket.socket, port: int) -> tuple[object, ...]:
    """Where a passive data connection goes: `port` of the peer of `control`, with its scope where
    that is a link-local address (RFC 4007)."""
    host, _, *scope = control.getpeername()
    return (host, port, *scope)
