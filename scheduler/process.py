"""The scheduler's process: a turn of the tick each half minute, until it is told to stop.

The turns are made in a thread of their own, so that a signal ends the process within a second also
while Redis hangs: there is no point at which a scheduler must not be cut.
"""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from random import random
from typing import Protocol

from scheduler.health import Pulse
from scheduler.metrics_server import metrics_server
from scheduler.tick import TURN_SECONDS, Ticker
from scheduler.website_files import WebsiteFiles
from siteferry import __version__
from siteferry.broker import broker_of
from siteferry.credentials.cache import Stores
from siteferry.credentials.resolve import resolve_redis_password
from siteferry.dispatch.runtime import new_node_name
from siteferry.errors import LedgerUnreachable, SiteferryError
from siteferry.health.record import HealthFile
from siteferry.ledger.connection import Connection, connect
from siteferry.ledger.outage import pauses
from siteferry.log import get_logger
from siteferry.settings import Settings
from siteferry.settings.redis_tls import tls_of

_LOOK_SECONDS = 0.5
"""How often the clock is looked at: it may be set, or the machine have slept."""
_END_SECONDS = 0.8

_log = get_logger(__name__)


class Beside(Protocol):
    """What runs beside the turns, such as a server of figures."""

    def start(self) -> None:
        """Begin, without waiting for anything."""

    def stop(self) -> None:
        """End, within a fraction of a second."""


def run_beat(
    settings: Settings,
    redis_url: str,
    *,
    clock: Callable[[], float] = time.time,
    beside: Sequence[Beside] = (),
    after_tick: Callable[[bool], None] | None = None,
) -> int:
    """Start what is due until SIGTERM or SIGINT; gives the exit status of the process: 1 where an
    unexpected error has ended the turns, so that whoever supervises the process starts it anew.

    Args:
        clock: Unix seconds.
        beside: what is started before the first turn and stopped after the last one, together with
            the metrics.
        after_tick: called after every turn, with whether Redis has answered.

    Raises:
        LedgerUnreachable: Redis answers, and refuses us, before the first turn.
        ConfigurationError, CredentialError: the files for TLS, the password or the token of the
            metrics are not to be had, or their port is taken.
    """
    pulse = Pulse()
    health = HealthFile(settings.health_directory, "beat", new_node_name(), __version__, pulse.look)
    connection, ticker = _ticker(settings, redis_url)
    metrics = metrics_server(settings, connection, lambda: ticker.scheduled)
    stop = threading.Event()
    turns = _Turns(connection, ticker, clock, stop, pulse, after_tick)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with ExitStack() as stack:
        health.start()
        stack.callback(health.close)
        for one in [*beside, *([metrics] if metrics else [])]:
            one.start()
            stack.callback(one.stop)
        thread = threading.Thread(target=turns.make, name="turns", daemon=True)
        thread.start()
        stop.wait()
        thread.join(_END_SECONDS)
    if turns.refusal is not None:
        raise turns.refusal
    if turns.has_died:
        return 1
    _log.info("scheduler stopped")
    return 0


def _ticker(settings: Settings, redis_url: str) -> tuple[Connection, Ticker]:
    password = resolve_redis_password(Stores(settings))
    connection = connect(
        redis_url,
        username=settings.redis.username,
        password=password,
        tls=tls_of(settings.redis, redis_url),
        prefix=settings.redis.key_prefix,
        # A turn that finds no Redis is over; the next one looks at the files and the clock anew.
        patience_seconds=0,
        keep_seconds=settings.redis.keep_runs,
    )
    broker = broker_of(settings, redis_url, password)
    return connection, Ticker(connection, broker, WebsiteFiles(settings))


@dataclass(slots=True)
class _Turns:
    """The loop. refusal: what keeps it from beginning. has_died: it has ended unasked."""

    connection: Connection
    ticker: Ticker
    clock: Callable[[], float]
    stop: threading.Event
    pulse: Pulse
    after_tick: Callable[[bool], None] | None
    refusal: SiteferryError | None = field(default=None, init=False)
    has_died: bool = field(default=False, init=False)

    def make(self) -> None:
        """Make turns until `stop` is set, which it is in any case when they have ended."""
        try:
            self._make()
        except SiteferryError as error:
            self.refusal = error
        except BaseException:  # noqa: BLE001  # a process without turns would seem to live
            self.has_died = True
            _log.exception("the turns of the scheduler have ended")
        finally:
            self.stop.set()

    def _make(self) -> None:
        self._wait_for_redis()
        _log.info("scheduler started", websites=str(self.ticker.files.settings.paths.websites))
        looks = pauses(random)
        while not self.stop.is_set():
            begun = self.clock()
            answered = self._turn(begun)
            if answered:
                looks = pauses(random)
                self._wait_until((begun // TURN_SECONDS + 1) * TURN_SECONDS)
            else:
                self.stop.wait(next(looks))

    def _wait_for_redis(self) -> None:
        client = self.connection.client
        self.pulse.waits()
        replace(self.connection, patience_seconds=math.inf).call(client.ping)

    def _turn(self, now: float) -> bool:
        """Make a turn; gives whether Redis has answered. Whatever fails, the next one comes."""
        answered = True
        self.pulse.moved()
        try:
            try:
                self.ticker.turn(now)
            except LedgerUnreachable as error:
                answered = False
                self.connection.outage.lasts(error, math.inf)
            self.pulse.turned(answered, self.ticker.hindrance)
            if self.after_tick is not None:
                self.after_tick(answered)
        except Exception:  # noqa: BLE001  # a scheduler that dies would start nothing any more
            _log.exception("a turn of the scheduler fails")
            self.pulse.failed()
        return answered

    def _wait_until(self, moment: float) -> None:
        while not self.stop.is_set():
            self.pulse.moved()
            left = moment - self.clock()
            # More than a turn: the clock was set back.
            if left <= 0 or left > TURN_SECONDS:
                return
            self.stop.wait(min(left, _LOOK_SECONDS))
