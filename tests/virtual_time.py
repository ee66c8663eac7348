"""Time that passes only while everybody waits for it, so that no thread is ever too slow."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class VirtualTime:
    """A clock for threads of one test. While any of them works, it stands still."""

    def __init__(self) -> None:
        self.now = 0.0
        self._working = 0
        self._wakes: list[float] = []
        self._changed = threading.Condition()

    def together(self, *actions: Callable[[], T]) -> Sequence[T]:
        """Run `actions` at the same time, each in a thread; gives their results in this order."""
        start = threading.Barrier(len(actions))

        def carry(action: Callable[[], T]) -> T:
            start.wait(timeout=10)
            try:
                return action()
            finally:
                with self._changed:
                    self._working -= 1
                    self._pass()

        self._working = len(actions)
        with ThreadPoolExecutor(len(actions)) as threads:
            return [future.result() for future in [threads.submit(carry, a) for a in actions]]

    def sleep(self, seconds: float) -> None:
        """Wait until so much time has passed."""
        with self._changed:
            wake = self.now + seconds
            self._wakes.append(wake)
            self._working -= 1
            self._pass()
            if not self._changed.wait_for(lambda: self.now >= wake, timeout=60):
                raise RuntimeError("a thread neither works on nor sleeps")
            self._wakes.remove(wake)
            self._working += 1

    def _pass(self) -> None:
        if not self._working and self._wakes:
            self.now = max(self.now, min(self._wakes))
            self._changed.notify_all()
