"""How a worker process ends: what is in hand is finished or given back, within a time of grace.

    SIGTERM, SIGINT    nothing new is begun; what has not been begun goes back at once; files, plans
    (or Celery ends)   and publishes in hand come to where they can be left; sessions end; exit 0
    a second one, or   what is still held goes back to the ledger with all that is known of it; the
    the grace is over  process ends in the middle of whatever it does; exit 9
    a third one        it ends; what it held goes back when it is started again, or after five
                       seconds, by the sweeper

Celery's own soft shutdown is for processes, not for threads; its warm shutdown waits for them, and
this tells them to hurry.
"""

from __future__ import annotations

import logging
import os
import queue
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import FrameType
from typing import Any

from celery import bootsteps, signals
from celery.worker import state as celery_state

from siteferry.broker import end_polling
from siteferry.dispatch.handing_back import hand_back
from siteferry.dispatch.heartbeat import Keepers
from siteferry.dispatch.runtime import Runtime
from siteferry.embedded.worker import PARENT_PIPE
from siteferry.errors import LedgerUnreachable
from siteferry.ledger.connection import Connection
from siteferry.ledger.items import Fate, Items
from siteferry.log import get_logger

CUT_SHORT = 9
"""Exit status of a process that did not come to an end by itself."""

_PATIENCE_SECONDS = 1.0
"""For each call to a Redis that is away, when the process must not wait for it."""
_LAST_SECONDS = 3.0
"""What handing back may take after the grace, a Redis that hangs included."""

_log = get_logger(__name__)


@dataclass(slots=True)
class Stopping:
    """Waits in a thread of its own for the word to stop, and sees to the end."""

    runtime: Runtime
    keepers: Keepers
    grace_seconds: float
    on_begin: Callable[[], None]
    """Called when it is known that the process is to end."""
    on_left: Callable[[], None]
    """Called when all that the process held was given back, at its end."""
    deaf: threading.Event = field(default_factory=threading.Event)
    """Set when Redis gives no message to this process any more."""
    _worker: Any = None
    _begun: bool = False
    _signals: int = 0
    _news: queue.SimpleQueue[str] = field(default_factory=queue.SimpleQueue)
    """A SimpleQueue, since signal handlers may put into it whatever they have interrupted."""
    _closing: threading.Lock = field(default_factory=threading.Lock)
    _closed: bool = False

    def install(self, worker: Any) -> None:
        """Take over from Celery's handlers, once it has set up its own; to be called before the
        worker starts, from the main thread."""
        self._worker = worker
        signals.worker_ready.connect(self._take_signals, weak=False)
        threading.Thread(target=self._watch, name="siteferry-stopping", daemon=True).start()

    @property
    def begun(self) -> bool:
        """Whether the process is to end."""
        return self._begun

    def begin(self) -> None:
        """The process is to end, by whatever told it: a signal, Celery's remote control, or Celery
        itself for an error that it cannot get over."""
        if not self._begun:
            self._begun = True
            self._news.put("stop")

    def finish(self) -> None:
        """Celery has come to its end: close what the process holds."""
        self.begin()
        self._close()
        self._news.put("ended")

    def _take_signals(self, **_: object) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._signals += 1
        if self._signals == 1:
            celery_state.should_stop = os.EX_OK
            self.begin()
        elif self._signals == 2:
            self._news.put("told again")
        else:
            os._exit(CUT_SHORT)

    # -- in the thread ---------------------------------------------------------------------------

    def _watch(self) -> None:
        self._news.get()
        self.on_begin()
        end = time.monotonic() + self.grace_seconds
        # In a thread of its own, for Redis may hang, and the grace counts all the same.
        threading.Thread(target=self._leave, name="siteferry-leaving", daemon=True).start()
        why = "stop"
        while why == "stop":
            try:
                why = self._news.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                why = f"the grace of {self.grace_seconds:g} s is over"
        if why != "ended":
            self._cut_short(why)

    def _leave(self) -> None:
        try:
            self._give_back_what_was_not_begun()
        except LedgerUnreachable as error:
            _log.warning("what was not begun waits for the sweeper", error=str(error))
        except Exception:  # noqa: BLE001  # the process ends all the same
            _log.exception("stopping met an unexpected error")

    def _give_back_what_was_not_begun(self) -> None:
        runtime = self.runtime
        runtime.stopping.set()
        # Celery looks whether it is to stop when its loop comes round, else once in a second.
        if self._worker.hub is not None:
            self._worker.hub.call_soon(_nothing)
        in_hand = runtime.hands.all()
        _log.info("stopping", node=runtime.node, in_hand=len(in_hand))
        connection = _impatient(runtime.connection)
        if (
            PARENT_PIPE in os.environ
            and not in_hand
            and not replace(runtime.runs, connection=connection).live()
        ):
            # A command's own worker with nothing to do has no message that could be lost. Celery's
            # way takes a second even so.
            self._close()
            logging.shutdown()
            os._exit(os.EX_OK)
        hand_back(connection, runtime.broker, runtime.node, Fate.LEAVING)

    def _cut_short(self, why: str) -> None:
        runtime = self.runtime
        last = threading.Timer(_LAST_SECONDS, os._exit, [CUT_SHORT])
        last.daemon = True
        last.start()
        held = runtime.hands.all()
        _log.warning("ending at once", reason=why, in_hand=len(held))
        runtime.hands.close(_PATIENCE_SECONDS)
        for work in held:
            # Whoever publishes looks at this before each burst.
            work.pulse.lost = True
        self.keepers.end(within_seconds=0.3)
        # Else what is handed back might be given to this very process.
        self.deaf.wait(_PATIENCE_SECONDS)
        connection = _impatient(runtime.connection)
        try:
            self._tell_what_is_known(Items(connection))
            hand_back(connection, runtime.broker, runtime.node, Fate.LEFT)
            self.on_left()
        except LedgerUnreachable as error:
            _log.warning("what was in hand waits for the sweeper", error=str(error))
        except Exception:  # noqa: BLE001  # whatever it is, the process ends now
            _log.exception("ending met an unexpected error")
        logging.shutdown()
        os._exit(CUT_SHORT)

    def _tell_what_is_known(self, items: Items) -> None:
        """Files that are done, and what stands of those that are not."""
        for work in self.runtime.hands.all():
            if not work.pulse.telling.acquire(timeout=0.3):
                continue  # the heartbeat is at it, and Redis does not answer
            try:
                items.report(work.member, self.runtime.node, work.outcomes(), work.kept())
            finally:
                work.pulse.telling.release()

    def _close(self) -> None:
        """End the sessions, write the hashes that are not yet written, give back what is left."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
            runtime = self.runtime
            try:
                self.keepers.stop()
            except LedgerUnreachable as error:
                _log.warning("sessions end with the process", error=str(error))
            runtime.hashes.close()
            try:
                connection = _impatient(runtime.connection)
                hand_back(connection, runtime.broker, runtime.node, Fate.LEFT)
                self.on_left()
            except LedgerUnreachable as error:
                _log.warning("what was sent here waits for the sweeper", error=str(error))
            _log.info("worker stopped", node=runtime.node)


class TellStopping(bootsteps.StartStopStep):  # type: ignore[misc]
    """Celery's worker tells `Stopping` when it begins to end, whatever the reason; and that it
    takes no message any more, which is between the end of its consumer and that of its threads."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, parent: Any, stopping: Stopping, **kwargs: Any) -> None:
        super().__init__(parent, **kwargs)
        self._stopping = stopping

    def close(self, parent: Any) -> None:
        self._stopping.begin()

    def stop(self, parent: Any) -> None:
        consumer = parent.consumer.task_consumer
        if consumer is not None:
            end_polling(consumer.channel)
        self._stopping.deaf.set()


def _impatient(connection: Connection) -> Connection:
    return replace(connection, patience_seconds=_PATIENCE_SECONDS)


def _nothing() -> None:
    """Wakes Celery's loop."""
