"""What one worker process has in its hands: attempts that it carries, and what comes to it next."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from siteferry.run import Member

if TYPE_CHECKING:
    from siteferry.dispatch.work import Work

LACKING_SECONDS = 60.0
EXPECTED_SECONDS = 30.0
"""For so long a message in the own queue is counted: the sweeper gives its item to others then."""


@dataclass(slots=True)
class Hands:
    """The attempts that this process carries at the moment, and how many more it could.

    threads: how many it carries at a time at most.
    """

    threads: int = 1
    clock: Callable[[], float] = time.monotonic
    _works: dict[str, Work] = field(default_factory=dict)
    _ending: dict[str, int] = field(default_factory=dict)
    """Those that are being told to the ledger, whose threads are free after that, and how many more
    may come for each: 1 where the process may have the next item, else 0."""
    _expected: dict[str, float] = field(default_factory=dict)
    """What was sent to the own queue and has not come yet, with the time of sending."""
    _lacking_since: float = float("-inf")
    _lock: threading.Condition = field(default_factory=threading.Condition)
    _dealing: int = 0
    _closed: bool = False

    def take(self, work: Work) -> None:
        """Have `work` renewed by the heartbeat until it is put down."""
        with self._lock:
            self._works[str(work.member)] = work

    def holds(self, member: Member) -> bool:
        """Whether this very attempt is carried here: a Redis that has forgotten the claim would let
        this process claim it once more."""
        with self._lock:
            return str(member) in self._works

    def beside(self, work: Work) -> int | None:
        """How much the process has in hand when `work` has ended, a place being kept for one item
        that follows until `work` is put down. None: its threads are spoken for, and what follows is
        for others, too."""
        with self._lock:
            name = str(work.member)
            self._ending[name] = 0
            count = self._count()
            if count >= self.threads:
                return None
            self._ending[name] = 1
            return count

    def put_down(self, work: Work, following: Sequence[Member] = ()) -> None:
        """`work` has ended. `following`: what is about to be sent to the own queue."""
        with self._lock:
            self._works.pop(str(work.member), None)
            self._ending.pop(str(work.member), None)
            for member in following:
                self._expected[str(member)] = self.clock()

    def arrived(self, member: Member) -> None:
        """A message has come, whether it is to be carried or not."""
        with self._lock:
            self._expected.pop(str(member), None)

    def lacked(self) -> None:
        """The process has met an item for which it does not have the sources or the password: for a
        minute others need not leave it theirs."""
        with self._lock:
            self._lacking_since = self.clock()

    def load(self) -> int | None:
        """How much the process has in hand; None: others are not to leave it more, for all its
        threads are spoken for, or it has lacked something."""
        with self._lock:
            count = self._count()
            lacks = self.clock() - self._lacking_since < LACKING_SECONDS
            return count if count < self.threads and not lacks else None

    def _count(self) -> int:
        oldest = self.clock() - EXPECTED_SECONDS
        for name in [name for name, since in self._expected.items() if since < oldest]:
            del self._expected[name]
        carried = len(self._works) - len(self._ending)
        return carried + sum(self._ending.values()) + len(self._expected)

    def all(self) -> list[Work]:
        with self._lock:
            return list(self._works.values())

    @contextmanager
    def dealing(self) -> Iterator[None]:
        """What must not be cut between its calls when the process ends itself: to claim and take
        up; to finish, and send what follows. Once the hands are closed it waits for the end."""
        with self._lock:
            self._lock.wait_for(lambda: not self._closed)
            self._dealing += 1
        try:
            yield
        finally:
            with self._lock:
                self._dealing -= 1
                self._lock.notify_all()

    def close(self, within_seconds: float) -> None:
        """Let no thread begin to deal any more, and those that are at it end."""
        with self._lock:
            self._closed = True
            self._lock.wait_for(lambda: not self._dealing, within_seconds)
