"""What goes wrong while a run is under way, chosen by one seed."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from dataclasses import dataclass, field
from typing import Self

import redis

from tests.chaos.connections import bereaved, connected
from tests.chaos.fleet import Fleet
from tests.chaos.ledger_view import LedgerView
from tests.chaos.mode import MOST_CONNECTIONS, Mode
from tests.private_redis import RedisServer
from tests.servers.base import FtpServer

_LOOK_SECONDS = 0.1
_LONGEST_AWAY_SECONDS = 0.5
_PLACES = MOST_CONNECTIONS


@dataclass(slots=True)
class Happened:
    """What went wrong, each at which second of the run.

    most_connections: that workers held to the server at any look. reaped: sessions of killed
    workers that the server had not noticed to be so.
    """

    kills: list[float] = field(default_factory=list)
    cuts: list[float] = field(default_factory=list)
    redis_restarts: list[float] = field(default_factory=list)
    most_connections: int = 0
    reaped: int = 0

    def __str__(self) -> str:
        return (
            f"{len(self.kills)} workers killed, {len(self.cuts)} sessions cut,"
            f" Redis restarted {len(self.redis_restarts)} times;"
            f" at most {self.most_connections} connections at a time,"
            f" {self.reaped} sessions were left behind by killed workers"
        )


class Disturbances:
    """From the beginning of the block to its end, in a thread of their own.

    Every `mode.kill_seconds` a random worker is killed and replaced, about every
    `mode.cut_seconds` a random session's process on the server is killed, and at random shares of
    the files Redis is killed and started again on what it had appended to its file. They begin with
    the run's plan.
    """

    def __init__(
        self,
        mode: Mode,
        dice: random.Random,
        fleet: Fleet,
        redis_server: RedisServer,
        server: FtpServer,
    ) -> None:
        self.happened = Happened()
        self._mode, self._dice = mode, dice
        self._fleet, self._redis, self._server = fleet, redis_server, server
        self._ledger = LedgerView.at(redis_server.url)
        self._before = self._ledger.latest()
        self._bereaved: set[int] = set()
        self._over = threading.Event()
        self._wrong: list[BaseException] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        parts = mode.redis_restarts
        self._restart_at = [
            int(mode.files * (part + dice.uniform(0.2, 0.8)) / parts) for part in range(parts)
        ]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        self._thread.join()
        self._ledger.client.close()
        for wrong in self._wrong:
            raise wrong

    def _run(self) -> None:
        try:
            while (run := self._ledger.latest()) == self._before:
                if self._over.wait(_LOOK_SECONDS):
                    return
            assert run is not None
            self._disturb(run)
        except BaseException as error:  # noqa: BLE001  # the block's end raises it
            self._wrong.append(error)

    def _disturb(self, run: str) -> None:
        begin = time.monotonic()
        next_kill, next_cut = self._mode.kill_seconds, self._cut_pause()
        while not self._over.wait(_LOOK_SECONDS):
            sessions = self._server.session_processes() - self._reap()
            now = connected(self._server)
            self.happened.most_connections = max(self.happened.most_connections, now)
            passed = time.monotonic() - begin
            goes_on = len(self.happened.kills) < self._mode.most_kills
            if passed >= next_kill and goes_on:
                next_kill += self._mode.kill_seconds
                self._fleet.replace(self._dice.choice(self._fleet.pids()))
                self.happened.kills.append(passed)
            if passed >= next_cut and goes_on:
                next_cut = passed + self._cut_pause()
                if self._cut(sorted(sessions)):
                    self.happened.cuts.append(passed)
            if self._restart_at and self._carried(run) >= self._restart_at[0]:
                del self._restart_at[0]
                self._redis.stop()
                self._over.wait(self._dice.uniform(0, _LONGEST_AWAY_SECONDS))
                self._redis.start()
                self.happened.redis_restarts.append(passed)

    def _reap(self) -> set[int]:
        """End sessions that wait for a client that was killed: a server does it itself after a time
        of its own (Pure-FTPd: 15 minutes), and counts them until then."""
        found = bereaved(self._server)
        for pid in found & self._bereaved:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            self.happened.reaped += 1
        self._bereaved = found
        return found

    def _cut_pause(self) -> float:
        return self._mode.cut_seconds * self._dice.uniform(0.5, 1.5)

    def _carried(self, run: str) -> int:
        with contextlib.suppress(redis.RedisError):
            return self._ledger.transferred(run)
        return 0

    def _cut(self, sessions: list[int]) -> bool:
        """Kill the process of one session in `_PLACES`; False where no session has that place. So
        the last session of a run is not cut eight times as often as one of eight."""
        place = self._dice.randrange(_PLACES)
        if place >= len(sessions):
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(sessions[place], signal.SIGKILL)
            return True
        return False
