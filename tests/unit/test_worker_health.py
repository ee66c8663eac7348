"""What a worker says of itself, over hours that take no time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from siteferry.broker import SHARED_QUEUE
from siteferry.dispatch.hands import Hands
from siteferry.dispatch.heartbeat import Keepers
from siteferry.dispatch.runtime import Runtime
from siteferry.dispatch.work import Pulse
from siteferry.health.record import Health
from siteferry.ledger.outage import Outage
from siteferry.run import Member
from worker.health import START_SECONDS, Starting, Turning, Vitals
from worker.stopping import Stopping


@dataclass
class Consumer:
    """Celery's, as far as it is looked at."""

    connection: object | None = field(default_factory=object)
    queues: set[str] = field(default_factory=lambda: {SHARED_QUEUE})

    @property
    def task_consumer(self) -> Any:
        return SimpleNamespace(consuming_from=self.queues.__contains__)


class Scene:
    """A worker at second 1000; Redis answers it and its loop turns, as long as they are said to."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.redis, self.loop = True, True
        self.outage = Outage(self._clock)
        self.hands = Hands()
        self.consumer = Consumer()
        self.turning = Turning(self.now)
        self.stopping = SimpleNamespace(begun=False)
        runtime = SimpleNamespace(hands=self.hands, connection=SimpleNamespace(outage=self.outage))
        self.keepers = Keepers(cast("Runtime", runtime), clock=self._clock)
        self.vitals = Vitals(
            SimpleNamespace(consumer=self.consumer),
            cast("Runtime", runtime),
            self.keepers,
            cast("Any", self.stopping),
            self.turning,
            self._clock,
        )

    def _clock(self) -> float:
        return self.now

    def after(self, seconds: int) -> Health:
        """What is said then, after a look at each second before."""
        for _ in range(seconds):
            self.now += 1
            if self.redis:
                self.outage.over()
            if self.loop:
                self.turning.at = self.now
            said = self.vitals.look()
        return said


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_a_worker_is_not_ready_before_redis_has_answered(scene: Scene) -> None:
    scene.redis = False
    assert scene.after(3600) == Health(
        None, "Redis has not answered yet", {"in_hand": 0, "still_seconds": 0.0}
    )


def test_a_start_may_wait_for_redis_as_long_as_it_likes_and_then_for_five_minutes() -> None:
    now = 1000.0
    starting = Starting(lambda: now)
    now += 86400
    assert starting.look() == Health(None, "Redis has not answered yet")
    starting.goes_on()
    now += START_SECONDS
    assert starting.look() == Health(None, "it is starting")
    now += 1
    assert starting.look() == Health("its start has hung for 301 s", "it is starting")


def test_a_worker_is_not_ready_before_its_consumer_is_connected(scene: Scene) -> None:
    scene.consumer.connection = None
    assert scene.after(1).why_not_ready == "it is connecting to its queues"
    scene.consumer.connection = object()
    assert scene.after(1).why_not_ready is None


def test_a_worker_whose_consumer_was_cancelled_is_not_ready(scene: Scene) -> None:
    """By Celery's remote control, which Flower offers."""
    scene.consumer.queues.clear()
    said = scene.after(1)
    assert (said.why_not_alive, said.why_not_ready) == (
        None,
        f"it does not take messages from {SHARED_QUEUE}",
    )


def test_a_redis_that_is_away_for_a_day_kills_nobody_even_if_the_loop_stands_still(
    scene: Scene,
) -> None:
    scene.after(10)
    scene.redis = scene.loop = False
    scene.after(5)
    assert scene.after(1).why_not_ready == "Redis has not answered for 6 s"
    assert scene.after(86400).why_not_alive is None
    scene.redis = True
    said = scene.after(60)
    assert said.why_not_alive is None, "kombu may wait for 30 seconds before it tries again"
    assert said.why_not_ready is not None
    scene.loop = True
    assert scene.after(1) == Health(None, None, {"in_hand": 0, "still_seconds": 0.0})


def test_a_consumer_that_stands_still_while_redis_answers_is_not_alive(scene: Scene) -> None:
    scene.after(10)
    scene.loop = False
    assert scene.after(6).why_not_ready == "it has not looked for messages for 6 s"
    assert scene.after(84).why_not_alive is None
    said = scene.after(1)
    assert said.why_not_alive == "Redis answers, and the consumer has stood still for 91 s"


def test_a_worker_that_stops_is_not_ready_and_its_loop_may_stand_still(scene: Scene) -> None:
    scene.stopping.begun, scene.loop = True, False
    said = scene.after(3600)
    assert (said.why_not_alive, said.why_not_ready) == (None, "it was told to stop")


def test_a_word_to_stop_has_it_written_before_anything_else(scene: Scene) -> None:
    told, nothing = threading.Event(), cast("Runtime", SimpleNamespace())
    stopping = Stopping(nothing, scene.keepers, 60, on_begin=told.set, on_left=told.set)
    watching = threading.Thread(target=stopping._watch)
    watching.start()
    assert not stopping.begun
    stopping.begin()
    assert stopping.begun
    assert told.wait(10)
    stopping._news.put("ended")
    watching.join()


def test_an_item_that_does_not_move_is_named(scene: Scene) -> None:
    work: Any = SimpleNamespace(
        member=Member("20260131-154501-9f2c1a", "files-12-0", 1),
        pulse=Pulse(scene.now, scene.now),
        claim=SimpleNamespace(facts={"site": "example"}),
        threads=frozenset({2**22 + 1}),
    )
    scene.hands.take(work)
    assert scene.after(180).why_not_alive is None
    said = scene.after(3)
    assert said.why_not_alive == (
        "files-12-0 of run 20260131-154501-9f2c1a (website example) has not moved for 183 s"
    )
    assert said.facts == {"in_hand": 1, "still_seconds": 183.0}
    scene.hands.put_down(work)
    assert scene.after(1).why_not_alive is None


@pytest.fixture
def hung(scene: Scene) -> Iterator[Callable[[], None]]:
    """Has the keeper `sweeper` hang from now on."""
    at_it, over = threading.Event(), threading.Event()

    def hang() -> None:
        at_it.set()
        over.wait(60)

    def begin() -> None:
        scene.keepers._run("sweeper", 0.001, hang)
        assert at_it.wait(10)

    yield begin
    over.set()
    scene.keepers.end(within_seconds=10)


def test_a_keeper_that_hangs_is_not_alive_after_two_minutes_if_redis_answers_others(
    scene: Scene, hung: Callable[[], None]
) -> None:
    scene.after(10)
    hung()
    assert scene.after(120).why_not_alive is None
    assert scene.after(1).why_not_alive == "the sweeper has hung for 121 s"


def test_a_keeper_may_wait_for_redis_but_not_longer_than_any_call_does(
    scene: Scene, hung: Callable[[], None]
) -> None:
    scene.after(10)
    scene.redis = False
    hung()
    assert scene.after(300).why_not_alive is None
    assert scene.after(1).why_not_alive == "the sweeper has hung for 301 s"


def test_a_keeper_that_comes_round_is_well(scene: Scene) -> None:
    rounds = threading.Semaphore(0)
    scene.keepers._run("sweeper", 0.001, rounds.release)
    for _ in range(3):
        rounds.acquire(timeout=10)
    scene.keepers.end(within_seconds=10)
    assert scene.keepers.rounds() == {}
