"""One end of a carried connection: what goes out there, and when."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable

_MOST_WAITING = 16
_MOST_MERGED = 1000
"""A reply to each command of a large burst, some servers write them one by one."""
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Outlet:
    """Writes to `sock`, in order, `delay_seconds` after each piece was put.

    merge_seconds: pieces are held until nothing was put and nobody called `touch` for so long, and
        then leave together (a delay is then at least that long).
    sent: called just before pieces leave.
    ready: nothing is written before it is set.

    What is put after `end` is dropped.
    """

    def __init__(
        self,
        sock: socket.socket,
        *,
        delay_seconds: float,
        merge_seconds: float = 0.0,
        sent: Callable[[], None] = lambda: None,
        ready: asyncio.Event,
    ) -> None:
        self._sock = sock
        self._delay_seconds = delay_seconds
        self._merge_seconds = merge_seconds
        self._sent = sent
        self._ready = ready
        self._clock = asyncio.get_running_loop().time
        self._touched = 0.0
        self._ended = False
        self._waiting: asyncio.Queue[tuple[float, bytes | None]] = asyncio.Queue(
            _MOST_MERGED if merge_seconds else _MOST_WAITING
        )

    async def put(self, data: bytes) -> None:
        self.touch()
        if data and not self._ended:
            await self._waiting.put((self._clock() + self._delay_seconds, data))

    async def end(self) -> None:
        """The peer sees the end of the stream after all that was put."""
        if not self._ended:
            self._ended = True
            await self._waiting.put((self._clock() + self._delay_seconds, None))

    def touch(self) -> None:
        """Something moves on this connection."""
        self._touched = self._clock()

    async def flush(self) -> None:
        """Wait until all that was put has left."""
        await self._waiting.join()

    async def run(self) -> None:
        """Write until the end has been written. Raises OSError as the socket does."""
        await self._ready.wait()
        loop = asyncio.get_running_loop()
        ended = False
        while not ended:
            due, data = await self._waiting.get()
            while (now := self._clock()) < (at := max(due, self._touched + self._merge_seconds)):
                await asyncio.sleep(at - now)
            pieces = [data]
            if self._merge_seconds:
                pieces += [self._waiting.get_nowait()[1] for _ in range(self._waiting.qsize())]
            self._sent()
            await loop.sock_sendall(self._sock, b"".join(filter(None, pieces)))
            if ended := pieces[-1] is None:
                with contextlib.suppress(OSError):
                    self._sock.shutdown(socket.SHUT_WR)
            for _ in pieces:
                self._waiting.task_done()


def reset(sock: socket.socket) -> None:
    """Close so that the peer sees a reset, with nothing more to read or write."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    sock.close()
