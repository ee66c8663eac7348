"""What a scheduler says of itself for the probes, over virtual hours."""

from __future__ import annotations

from dataclasses import dataclass

from scheduler.health import HUNG_SECONDS, Pulse


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def begun() -> tuple[Clock, Pulse]:
    clock = Clock()
    return clock, Pulse(clock)


def test_a_scheduler_is_ready_after_the_first_turn_that_redis_has_answered() -> None:
    _, pulse = begun()
    assert pulse.look().why_not_ready == "Redis has not answered yet"
    pulse.turned(True)
    assert pulse.look().why_not_ready is None
    assert pulse.look().why_not_alive is None


def test_a_scheduler_that_waits_for_redis_from_the_start_is_alive_for_hours() -> None:
    clock, pulse = begun()
    pulse.waits()
    clock.now = 10 * 3600
    assert pulse.look().why_not_alive is None
    assert pulse.look().why_not_ready == "Redis has not answered yet"


def test_a_redis_that_goes_away_makes_it_not_ready_until_it_answers() -> None:
    clock, pulse = begun()
    pulse.turned(True)
    for clock.now in (30, 60, 90):
        pulse.turned(False)
    assert pulse.look().why_not_ready == "Redis has not answered for 60 s"
    assert pulse.look().why_not_alive is None
    pulse.turned(True)
    assert pulse.look().why_not_ready is None


def test_a_turn_that_never_ends_is_not_alive_after_five_minutes() -> None:
    clock, pulse = begun()
    pulse.turned(True)
    clock.now = HUNG_SECONDS
    assert pulse.look().why_not_alive is None
    clock.now += 1
    assert pulse.look().why_not_alive == "the turns have stood still for 301 s"
    pulse.moved()
    assert pulse.look().why_not_alive is None


def test_turns_that_can_start_nothing_are_not_ready() -> None:
    _, pulse = begun()
    pulse.turned(True, "its clock is ahead")
    assert pulse.look().why_not_ready == "its clock is ahead"
    assert pulse.look().why_not_alive is None
    pulse.turned(True)
    assert pulse.look().why_not_ready is None


def test_turns_that_fail_are_not_ready_until_one_succeeds() -> None:
    _, pulse = begun()
    pulse.turned(True)
    pulse.failed()
    assert pulse.look().why_not_ready == "its last turn has failed; its log has more"
    pulse.turned(True)
    assert pulse.look().why_not_ready is None
