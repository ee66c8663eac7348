"""The threads beside a worker's tasks: heartbeat, sweeper, session keeper."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from siteferry.broker import SHARED_QUEUE, own_queue
from siteferry.dispatch.runtime import Runtime
from siteferry.dispatch.stillness import Stillness
from siteferry.dispatch.work import Work
from siteferry.errors import LedgerUnreachable
from siteferry.log import get_logger

BEAT_SECONDS = 1.0
KEEPER_SECONDS = 0.1
STALE_SECONDS = 5.0
LOST_SECONDS = 5.0
STALLED_SECONDS = 180.0
_SWEEPER_LEASE_MS = 1500

_log = get_logger(__name__)


def beat(runtime: Runtime, stillness: Stillness) -> None:
    """One heartbeat: the process, its sessions' leases, and each attempt whose thread moves.

    Args:
        stillness: says which thread has hung; its item is renewed no more, so others get it.
    """
    leases = [(account.name, address, token) for account, address, token in runtime.pool.leases()]
    load = None if runtime.stopping.is_set() else runtime.hands.load()
    runtime.missed_leases = runtime.slots.beat(runtime.node, leases, runtime.missed_leases, load)
    works = runtime.hands.all()
    stillness.forget_all_but(works)
    for work in works:
        _beat_work(runtime, work, stillness)


def _beat_work(runtime: Runtime, work: Work, stillness: Stillness) -> None:
    now = work.clock()
    if still := stillness.of(work):
        if not work.pulse.hangs:
            _log.warning(
                "a task does not move",
                run=work.member.run,
                task=work.member.item,
                seconds=round(still),
            )
        work.pulse.hangs = True
        return
    work.pulse.hangs = False
    with work.pulse.telling:
        outcomes, parts = work.untold(), work.kept()
        accepted = runtime.items.report(work.member, runtime.node, outcomes, parts)
        work.told(len(outcomes))
    if accepted:
        work.pulse.beaten_at = now
    else:
        work.pulse.lost = True


def sweep(runtime: Runtime) -> None:
    """Give out again what silent workers held. Every worker runs this; the ledger lets one."""
    keys, client = runtime.connection.keys, runtime.connection.client
    queued = int(runtime.connection.call(lambda: client.llen(f"{keys.prefix}{SHARED_QUEUE}")))
    result = runtime.items.sweep(
        runtime.node,
        stale_seconds=STALE_SECONDS,
        lost_seconds=LOST_SECONDS,
        queued=queued,
        lease_ms=_SWEEPER_LEASE_MS,
    )
    if result is None:
        return
    members, dead = result
    runtime.broker.send(members)
    if dead:
        queues = [f"{keys.prefix}{own_queue(node)}" for node in dead]
        runtime.connection.call(lambda: client.delete(*queues))


@dataclass(slots=True)
class Keepers:
    """Runs the three at their intervals until stopped."""

    runtime: Runtime
    stalled_seconds: float = STALLED_SECONDS
    clock: Callable[[], float] = time.monotonic
    _begun: dict[str, float | None] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        stillness = Stillness(self.stalled_seconds)
        self._run("heartbeat", BEAT_SECONDS, lambda: beat(self.runtime, stillness))
        self._run("sweeper", BEAT_SECONDS, lambda: sweep(self.runtime))
        self._run("sessions", KEEPER_SECONDS, self.runtime.pool.close_idle)

    def stop(self) -> None:
        """Stop all, and close the idle sessions."""
        self.end(within_seconds=5)
        self.runtime.pool.close_idle(everything=True)

    def end(self, within_seconds: float) -> None:
        """Stop all; each may take so long for what it is at."""
        self._stop.set()
        for thread in self._threads:
            thread.join(within_seconds)

    def rounds(self) -> dict[str, float]:
        """How long each of those that are in the middle of a round has been at it, in seconds."""
        now = self.clock()
        return {n: now - begun for n, begun in list(self._begun.items()) if begun is not None}

    def _run(self, name: str, seconds: float, action: Callable[[], None]) -> None:
        def loop() -> None:
            while not self._stop.wait(seconds):
                self._begun[name] = self.clock()
                try:
                    action()
                except LedgerUnreachable as error:
                    _log.warning(f"the {name} waits for Redis", error=str(error))
                except Exception:  # noqa: BLE001  # a keeper that dies would silence its process
                    _log.exception(f"the {name} failed")
                self._begun[name] = None

        thread = threading.Thread(target=loop, name=f"siteferry-{name}", daemon=True)
        self._threads.append(thread)
        thread.start()
