"""What a worker process writes for `siteferry-probe`: whether it is alive, and ready.

Not alive is what only a new start can mend: a thread that hangs, of ours or of an item, and a
consumer that has stopped although Redis answers. A Redis that is away is waited for, however long,
and a new start would only wait as well: that is not ready, as are the start and the end. Being busy
is neither.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from celery import bootsteps

from siteferry import __version__
from siteferry.broker import SHARED_QUEUE
from siteferry.dispatch.heartbeat import Keepers
from siteferry.dispatch.runtime import Runtime, new_node_name
from siteferry.dispatch.stillness import Stillness
from siteferry.embedded.worker import PARENT_PIPE
from siteferry.health.record import Health, HealthFile
from siteferry.settings import Settings
from worker.stopping import Stopping

AWAY_SECONDS = 5.0
"""Silence of Redis after which a worker is not ready: other workers take its items by then."""
TURN_SECONDS = 1.0
LATE_SECONDS = 5.0
"""Since the last turn of Celery's loop, which makes one a second at least while it consumes."""
DEAF_SECONDS = 90.0
"""For so long Celery's loop may stand still while Redis answers: after an outage kombu waits up to
30 seconds before it tries to connect again."""
KEEPER_SECONDS = 120.0
"""For so long a keeper may be in the middle of one round while Redis answers others;"""
SILENT_KEEPER_SECONDS = 300.0
"""and for so long while it answers nobody, for each call to Redis is given up within a minute."""
START_SECONDS = 300.0
"""For so long a start may last once Redis has answered; it takes a second or two."""


@dataclass(slots=True)
class Turning:
    """The last turn of Celery's loop, on the monotonic clock."""

    at: float = field(default_factory=time.monotonic)

    def turned(self) -> None:
        self.at = time.monotonic()


class TellTurning(bootsteps.Step):  # type: ignore[misc]
    """Has Celery's loop tell that it turns. Its timer runs in the loop, so it stands still while
    the loop does, and while Celery connects."""

    requires = ("celery.worker.components:Timer",)

    def __init__(self, parent: Any, turning: Turning, **kwargs: Any) -> None:
        super().__init__(parent, **kwargs)
        self._turning = turning

    def create(self, parent: Any) -> None:
        parent.timer.call_repeatedly(TURN_SECONDS, self._turning.turned)


@dataclass(slots=True)
class Vitals:
    """Looks at a worker that has been put together.

    worker: Celery's. clock: as that of everything that is looked at.
    """

    worker: Any
    runtime: Runtime
    keepers: Keepers
    stopping: Stopping
    turning: Turning
    clock: Callable[[], float] = time.monotonic
    _stillness: Stillness = field(init=False)
    _answering_since: float | None = None

    def __post_init__(self) -> None:
        self._stillness = Stillness(self.keepers.stalled_seconds, self.clock)

    def look(self) -> Health:
        """To be called about once a second."""
        now, works = self.clock(), self.runtime.hands.all()
        silence = self._silence(now)
        self._stillness.forget_all_but(works)
        if silence > AWAY_SECONDS:
            self._answering_since = None
        elif self._answering_since is None:
            self._answering_since = now
        longest = max((now - work.pulse.moved_at for work in works), default=0.0)
        return Health(
            self._why_not_alive(now, silence),
            self._why_not_ready(now, silence),
            {"in_hand": len(works), "still_seconds": round(longest, 1)},
        )

    def _silence(self, now: float) -> float:
        answered = self.runtime.connection.outage.answered_at
        return now - answered if answered is not None else float("inf")

    def _why_not_alive(self, now: float, silence: float) -> str | None:
        for work in self.runtime.hands.all():
            still = self._stillness.of(work)
            if still:
                item, run, site = work.member.item, work.member.run, work.claim.facts["site"]
                return f"{item} of run {run} (website {site}) has not moved for {still:.0f} s"
        since = self._answering_since
        answering = now - since if since is not None else 0.0
        for name, seconds in self.keepers.rounds().items():
            is_stuck = min(seconds, answering) > KEEPER_SECONDS
            if is_stuck or min(seconds, silence) > SILENT_KEEPER_SECONDS:
                return f"the {name} has hung for {seconds:.0f} s"
        stood = min(now - self.turning.at, answering)
        if stood > DEAF_SECONDS and not self.stopping.begun:
            return f"Redis answers, and the consumer has stood still for {stood:.0f} s"
        return None

    def _why_not_ready(self, now: float, silence: float) -> str | None:
        if self.stopping.begun:
            return "it was told to stop"
        if silence == float("inf"):
            return _NO_ANSWER_YET
        if silence > AWAY_SECONDS:
            return f"Redis has not answered for {silence:.0f} s"
        consumer = getattr(self.worker, "consumer", None)
        tasks = getattr(consumer, "task_consumer", None)
        if consumer is None or consumer.connection is None or tasks is None:
            return "it is connecting to its queues"
        if now - self.turning.at > LATE_SECONDS:
            return f"it has not looked for messages for {now - self.turning.at:.0f} s"
        if not tasks.consuming_from(SHARED_QUEUE):
            return f"it does not take messages from {SHARED_QUEUE}"
        return None


_NO_ANSWER_YET = "Redis has not answered yet"


@dataclass(slots=True)
class Starting:
    """Looks at a process until it is put together: first it waits for Redis, however long, then for
    nobody; what hangs then (a credential store, a dead mount) only a new start can mend."""

    clock: Callable[[], float] = time.monotonic
    _since: float | None = None

    def goes_on(self) -> None:
        """Redis has answered."""
        self._since = self.clock()

    def look(self) -> Health:
        """To be called at any time, by any thread."""
        since = self._since
        if since is None:
            return Health(why_not_ready=_NO_ANSWER_YET)
        seconds = self.clock() - since
        hung = f"its start has hung for {seconds:.0f} s" if seconds > START_SECONDS else None
        return Health(hung, "it is starting")


@dataclass(slots=True)
class WorkerHealth:
    """The health of a process from before it has reached Redis.

    file: None for the worker of a command, which nobody probes: its command looks after it.
    """

    node: str
    file: HealthFile | None
    turning: Turning = field(default_factory=Turning)
    starting: Starting = field(default_factory=Starting)

    def watch(self, worker: Any, runtime: Runtime, keepers: Keepers, stopping: Stopping) -> None:
        """From now on there is more to look at."""
        if self.file is not None:
            self.file.ask = Vitals(worker, runtime, keepers, stopping, self.turning).look

    def tell(self) -> None:
        """Something has changed: have it written now."""
        if self.file is not None:
            self.file.tell()


@contextmanager
def begin_health(settings: Settings) -> Iterator[WorkerHealth]:
    """Give this process its name, and write its health as long as the block lasts."""
    node = new_node_name()
    if PARENT_PIPE in os.environ:
        yield WorkerHealth(node, None)
        return
    directory, starting = settings.health_directory, Starting()
    file = HealthFile(directory, "worker", node, __version__, starting.look)
    file.start()
    try:
        yield WorkerHealth(node, file, starting=starting)
    finally:
        file.close()
