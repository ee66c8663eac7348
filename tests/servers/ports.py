"""Free ports on loopback, in blocks, safe among test processes that run at the same time."""

from __future__ import annotations

import os
import socket

HOST = "127.0.0.1"
# Below the range that Linux gives to outgoing connections (32768 and up).
_FIRST, _LAST = 12000, 32000
_BLOCK = 100


class PortBlock:
    """One control port and a range of passive ports, ours until `release` or the process's end.

    The first port of the block is bound and never listened on: that is the lock, which the kernel
    takes back whatever happens to this process.
    """

    def __init__(self) -> None:
        count = (_LAST - _FIRST) // _BLOCK
        for turn in range(count):
            base = _FIRST + (os.getpid() * 7 + turn) % count * _BLOCK
            lock = _bind(base, shared=False)
            if lock is None:
                continue
            if all(_is_free(port) for port in range(base + 1, base + _BLOCK)):
                self._lock = lock
                self.control = base + 1
                self.passive_first = base + 2
                self.passive_last = base + _BLOCK - 1
                return
            lock.close()
        raise RuntimeError(f"no block of {_BLOCK} free ports between {_FIRST} and {_LAST}")

    def release(self) -> None:
        self._lock.close()


def _bind(port: int, *, shared: bool) -> socket.socket | None:
    bound = socket.socket()
    if shared:
        # What is only in TIME_WAIT counts as free: servers bind their passive ports the same way.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((HOST, port))
    except OSError:
        bound.close()
        return None
    return bound


def _is_free(port: int) -> bool:
    bound = _bind(port, shared=True)
    if bound is None:
        return False
    bound.close()
    return True
