"""A control connection that a WireProxy carries: in plain it knows commands and replies."""

from __future__ import annotations

import asyncio
import re
import socket
from collections import deque
from dataclasses import dataclass

from tests.servers.relay import complete_replies as complete_replies
from tests.servers.wire_faults import (
    CommandFault,
    CutControl,
    EndlessReply,
    SayInstead,
    Silent,
)
from tests.servers.wire_link import Address, Cut, Link, Wire

_SECONDS_FOR_EARLIER_REPLIES = 10.0
_ADDRESS = re.compile(rb"\d+,\d+,\d+,\d+(?=,\d+,\d+)")


@dataclass(slots=True)
class _Command:
    text: str
    fault: CommandFault | None = None
    begun: bool = False
    """A reply 1yz has come: what follows depends on the data connection."""


class ControlLink(Link):
    """After AUTH TLS has been accepted everything is carried as it is."""

    def __init__(self, wire: Wire, client: socket.socket, upstream: Address) -> None:
        super().__init__(wire, client, upstream)
        # The greeting is a reply, too.
        self._unanswered = deque([_Command("")])
        self._answered = asyncio.Condition()
        self._client_buffer = self._server_buffer = b""
        self._heard = False
        self._opaque = False
        self._deaf = False
        """What the client writes is swallowed from now on."""

    def merge_seconds(self) -> float:
        return self._wire.merge_seconds

    def client_hears(self) -> None:
        self._heard = True

    async def from_client(self, data: bytes) -> None:
        self._to_client.touch()
        if not data:
            await self._to_server.end()
            return
        if self._heard:
            self._heard = False
            self._wire.round_trip()
        passing = self._wire.faults.control_bytes("up", len(data))
        await self._pass_up(data[:passing])
        if passing is not None:
            await self._to_server.put(self._client_buffer)
            await self._to_server.flush()
            raise Cut

    async def from_server(self, data: bytes) -> None:
        if not data:
            if any(isinstance(command.fault, CutControl) for command in self._unanswered):
                raise Cut
            await self._to_client.put(self._server_buffer)
            await self._to_client.end()
            return
        passing = self._wire.faults.control_bytes("down", len(data))
        await self._pass_down(data[:passing])
        if passing is not None:
            await self._to_client.put(self._server_buffer)
            await self._cut_behind_the_replies()

    async def _pass_up(self, data: bytes) -> None:
        if self._opaque:
            await self._to_server.put(data)
            return
        *lines, self._client_buffer = (self._client_buffer + data).split(b"\n")
        out = b""
        for line in lines:
            if self._deaf:
                break
            command = _Command(line.rstrip(b"\r").decode("utf-8", "surrogateescape"))
            self._wire.command_arrived(command.text)
            command.fault = self._wire.faults.at_command(command.text)
            if isinstance(command.fault, CutControl | Silent):
                self._deaf = True
            if isinstance(command.fault, Silent):
                break
            if isinstance(command.fault, CutControl) and command.fault.when == "before":
                await self._to_server.put(out)
                await self._wait_for_earlier_replies()
                await self._cut_behind_the_replies()
            self._unanswered.append(command)
            out += line + b"\n"
        await self._to_server.put(out)

    async def _wait_for_earlier_replies(self) -> None:
        async with asyncio.timeout(_SECONDS_FOR_EARLIER_REPLIES), self._answered:
            await self._answered.wait_for(lambda: not self._unanswered or self._unanswered[0].begun)

    async def _cut_behind_the_replies(self) -> None:
        await self._to_client.flush()
        raise Cut

    async def _pass_down(self, data: bytes) -> None:
        if self._opaque:
            await self._to_client.put(data)
            return
        self._server_buffer += data
        for reply in complete_replies(self._server_buffer):
            self._server_buffer = self._server_buffer[len(reply) :]
            await self._deliver(reply)

    async def _deliver(self, reply: bytes) -> None:
        command = self._unanswered[0] if self._unanswered else _Command("")
        final = not reply.startswith(b"1")
        if final:
            reply = await self._instead_of(reply, command)
        if reply.startswith(b"230"):
            self._wire.logged_in()
        elif reply.startswith(b"234") and command.text.upper().startswith("AUTH"):
            self._opaque = True
        elif reply.startswith(b"227") and (told := self._wire.faults.passive_address()):
            reply = _ADDRESS.sub(told.replace(".", ",").encode(), reply)
        await self._to_client.put(reply)
        async with self._answered:
            command.begun = not final
            if final and self._unanswered:
                self._unanswered.popleft()
            self._answered.notify_all()

    async def _instead_of(self, reply: bytes, command: _Command) -> bytes:
        """The final reply that the client gets to `command`; Cut where it gets none."""
        match command.fault:
            case CutControl():
                await self._cut_behind_the_replies()
            case EndlessReply(line=line):
                while True:
                    await self._to_client.put(f"{line}\r\n".encode())
            case SayInstead(reply=said, then_hang_up=hang_up):
                await self._to_client.put(f"{said}\r\n".encode())
                if hang_up:
                    self._deaf = True
                    await self._to_client.end()
                    await self._to_server.end()
                return b""
        return reply
