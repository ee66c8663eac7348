"""How Flower listens to workers: after an outage of Redis it hears them again within seconds."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from flower.events import Events
from flower.options import options
from tornado.ioloop import IOLoop

from siteferry.log import get_logger

PAUSE_SECONDS = 2.0

_log = get_logger(__name__)


class SteadyEvents(Events):  # type: ignore[misc]
    """Flower's listener, which looks for Redis every two seconds. That of Flower 2.2 doubles its
    pause with each look, without bound, so it hears nothing for as long again as Redis was away.

    Args:
        app: Celery's, whose workers it listens to.
        sleep: waits for so many seconds.
    """

    def __init__(self, app: Any, sleep: Callable[[float], None] = time.sleep) -> None:
        super().__init__(
            app,
            IOLoop.current(),
            enable_events=options.enable_events,
            max_workers_in_memory=options.max_workers,
            max_tasks_in_memory=options.max_tasks,
        )
        self._sleep = sleep
        self._told = False

    def run(self) -> None:
        """Listen for ever. An outage is told once."""
        while True:
            try:
                with self.capp.connection() as connection:
                    receiver = self.capp.events.Receiver(connection, {"*": self._heard})
                    receiver.capture(limit=None, timeout=None, wakeup=True)
            except Exception as error:  # noqa: BLE001  # a thread that ended would hear nothing more
                if not self._told:
                    _log.warning("no events of workers; looking for Redis", error=str(error))
                self._told = True
            self._sleep(PAUSE_SECONDS)

    def _heard(self, event: dict[str, Any]) -> None:
        self._told = False
        self.on_event(event)
