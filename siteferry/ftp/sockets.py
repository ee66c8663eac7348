"""What the kernel is asked for, where it offers it (Linux)."""

from __future__ import annotations

import socket


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
