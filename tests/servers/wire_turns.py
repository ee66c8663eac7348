"""A WireProxy that also writes down what each round trip was spent on."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.servers.base import FtpServer
from tests.servers.wire import WireProxy


class TurnsProxy(WireProxy):
    """Knows the dialogue only in plain; under TLS no turn has commands.

    turns: for each round trip that was counted the command lines that the client wrote in it, in
        their order; none where it was spent on a data connection: first its connect, then what is
        said on it.
    """

    def __init__(self, server: FtpServer, **options: Any) -> None:
        super().__init__(server, **options)
        self.turns: list[list[str]] = []

    def round_trip(self) -> None:
        super().round_trip()
        self.turns.append([])

    def command_arrived(self, command: str) -> None:
        super().command_arrived(command)
        if self.turns:
            self.turns[-1].append(command)

    def wait_for_links(self) -> None:
        """Until every connection of now has ended, so that its last turn has been counted."""

        async def ended() -> None:
            await asyncio.gather(*self._links, return_exceptions=True)

        self._in_the_loop(ended())

    def after_login(self) -> list[list[str]]:
        """The turns behind the last one in which a session gave its password. Those of QUIT are
        left out: nobody waits for a session that takes its leave."""
        last = max(
            (index for index, turn in enumerate(self.turns) if _says(turn, "PASS ")), default=-1
        )
        return [turn for turn in self.turns[last + 1 :] if not _says(turn, "QUIT")]


def _says(turn: list[str], begin: str) -> bool:
    return any(command.startswith(begin) for command in turn)
