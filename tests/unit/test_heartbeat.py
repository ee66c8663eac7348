"""Which attempts a heartbeat renews, with doubles in place of the ledger and the threads."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from siteferry.dispatch.heartbeat import beat
from siteferry.dispatch.runtime import Runtime
from siteferry.dispatch.stillness import Stillness
from siteferry.dispatch.work import Pulse
from siteferry.run import Member


@dataclass
class WorkDouble:
    """One attempt, whose thread last gave a sign of life at second 0."""

    now: float = 0.0
    member: Member = field(default_factory=lambda: Member("run", "directory-1", 1))
    pulse: Pulse = field(default_factory=lambda: Pulse(0.0, 0.0))
    threads: frozenset[int] = frozenset({1})

    def clock(self) -> float:
        return self.now

    def untold(self) -> list[Any]:
        return []

    def kept(self) -> list[Any]:
        return []

    def told(self, count: int) -> None:
        assert count == 0


@dataclass
class Scene:
    """A worker process with one attempt in hand, and a heartbeat each second."""

    busy: bool
    work: WorkDouble = field(default_factory=WorkDouble)
    renewed_at: float = 0.0

    def __post_init__(self) -> None:
        self.stillness = Stillness(180.0, self.work.clock, self._used)
        self.runtime = cast(
            "Runtime",
            SimpleNamespace(
                pool=SimpleNamespace(leases=list),
                slots=SimpleNamespace(beat=lambda *_: set()),
                hands=SimpleNamespace(all=lambda: [self.work], load=lambda: 1),
                stopping=threading.Event(),
                items=SimpleNamespace(report=self._report),
                missed_leases=set(),
                node="node",
            ),
        )

    def _used(self, _thread: int) -> str:
        return f"{self.work.now if self.busy else 0} 0"

    def _report(self, *_: object) -> bool:
        self.renewed_at = self.work.now
        return True

    def until(self, second: float) -> None:
        while self.work.now < second:
            self.work.now += 1
            beat(self.runtime, self.stillness)


def test_an_attempt_that_hashes_a_huge_file_for_minutes_is_renewed_all_the_time() -> None:
    scene = Scene(busy=True)
    scene.until(1000)
    assert scene.renewed_at == 1000
    assert scene.work.pulse.beaten_at == 1000


def test_an_attempt_whose_thread_hangs_is_renewed_no_more_and_told_of_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    scene = Scene(busy=False)
    with caplog.at_level(logging.WARNING):
        scene.until(300)
    assert 180 <= scene.renewed_at <= 182
    assert caplog.text.count("a task does not move") == 1


def test_an_attempt_that_moves_again_is_renewed_again() -> None:
    scene = Scene(busy=False)
    scene.until(300)
    scene.work.pulse.moved_at = 300
    scene.until(301)
    assert scene.renewed_at == 301
    assert not scene.work.pulse.hangs
