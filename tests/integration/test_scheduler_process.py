"""The scheduler's process: its loop, its end, and a Redis that is away."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from scheduler.process import run_beat
from siteferry.settings import Settings, load_settings
from tests.acceptance.test_redis_away import AWAY, BACK, said, wait_until_said
from tests.clear_errors import assert_clear
from tests.installation import Installation
from tests.private_redis import RedisServer
from tests.scheduling import at


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    """`run_beat` takes them for its whole process, which is the tests' here."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def settings(redis_server: RedisServer, tmp_path: Path) -> Settings:
    return load_settings(Installation(tmp_path).folder / "config/siteferry.yaml", {})


def stop() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def test_the_loop_makes_a_turn_at_each_half_minute_of_its_clock(
    settings: Settings, redis_server: RedisServer
) -> None:
    reads: list[float] = []
    turns: list[float] = []

    def clock() -> float:
        # Half a minute passes in a few looks, as it does in many.
        reads.append(at("12:00:07") + 9 * len(reads))
        return reads[-1]

    def after_tick(answered: bool) -> None:
        assert answered
        turns.append(reads[-1] - at("12:00:00"))
        if len(turns) == 4:
            stop()

    assert run_beat(settings, redis_server.url, clock=clock, after_tick=after_tick) == 0
    assert turns[0] == 7, "the first one comes at once"
    assert [turn // 30 for turn in turns] == [0, 1, 2, 3]


def test_a_clock_that_is_set_back_does_not_stop_the_turns(
    settings: Settings, redis_server: RedisServer
) -> None:
    turns: list[bool] = []

    def after_tick(answered: bool) -> None:
        turns.append(answered)
        if len(turns) == 2:
            stop()

    def clock() -> float:
        return at("00:00:10") if turns else at("12:00:10")

    assert run_beat(settings, redis_server.url, clock=clock, after_tick=after_tick) == 0


class Beside:
    def __init__(self, told: list[str], name: str) -> None:
        self.told, self.name = told, name

    def start(self) -> None:
        self.told.append(f"{self.name} starts")

    def stop(self) -> None:
        self.told.append(f"{self.name} stops")


def test_what_runs_beside_begins_before_the_first_turn_and_ends_after_the_last(
    settings: Settings, redis_server: RedisServer
) -> None:
    told: list[str] = []

    def after_tick(answered: bool) -> None:
        told.append("turn")
        stop()

    beside = [Beside(told, "one"), Beside(told, "other")]
    run_beat(settings, redis_server.url, beside=beside, after_tick=after_tick)
    assert told == ["one starts", "other starts", "turn", "other stops", "one stops"]


def test_redis_that_goes_away_is_waited_for_told_once_and_told_to_who_asks(
    settings: Settings, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    answers: list[bool] = []
    seconds = iter(range(0, 10**6, 30))  # each look at the clock is half a minute later

    def after_tick(answered: bool) -> None:
        answers.append(answered)
        if answers == [True]:
            redis_server.stop()
        elif answers[-3:] == [False] * 3:
            redis_server.start()
        elif answered:
            stop()

    clock = lambda: at("00:00:00") + next(seconds)  # noqa: E731
    assert run_beat(settings, redis_server.url, clock=clock, after_tick=after_tick) == 0
    assert answers[:4] == [True, False, False, False]
    assert answers[-1]
    assert caplog.text.count(AWAY) == 1
    assert caplog.text.count(BACK) == 1


def test_an_error_in_what_is_called_after_a_turn_ends_nothing(
    settings: Settings, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[bool] = []
    seconds = iter(range(0, 10**6, 30))

    def after_tick(answered: bool) -> None:
        calls.append(answered)
        if len(calls) == 3:
            stop()
        raise OSError("no room")

    clock = lambda: at("00:00:00") + next(seconds)  # noqa: E731
    assert run_beat(settings, redis_server.url, clock=clock, after_tick=after_tick) == 0
    assert "a turn of the scheduler fails" in caplog.text


def test_a_loop_that_dies_before_its_first_turn_ends_the_process_with_1(
    settings: Settings, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    def clock() -> float:
        raise ZeroDivisionError

    assert run_beat(settings, redis_server.url, clock=clock) == 1
    assert "the turns of the scheduler have ended" in caplog.text
    assert "scheduler stopped" not in caplog.text


def test_beat_waits_for_a_redis_that_comes_late(redis_server: RedisServer, tmp_path: Path) -> None:
    site = Installation(tmp_path, redis=redis_server.url)
    redis_server.stop()
    with site.process("beat") as beat:
        wait_until_said(site, "beat", AWAY)
        redis_server.start()
        wait_until_said(site, "beat", "scheduler started")
        beat.terminate()
        assert beat.wait(10) == 0
    assert [said(site, "beat").count(words) for words in (AWAY, BACK)] == [1, 1]


def test_beat_ends_at_once_with_0_while_redis_is_away(tmp_path: Path) -> None:
    site = Installation(tmp_path, redis=f"unix://{tmp_path}/nobody")
    with site.process("beat") as beat:
        wait_until_said(site, "beat", AWAY)
        assert_ends_with_0(beat)


def test_beat_ends_at_once_with_0_while_redis_hangs(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        site = Installation(tmp_path, redis=f"redis://127.0.0.1:{hanging.getsockname()[1]}")
        with site.process("beat") as beat:
            accepted, _ = hanging.accept()
            with accepted:
                assert_ends_with_0(beat)


def assert_ends_with_0(beat: subprocess.Popen[str]) -> None:
    """Before a call to a Redis that hangs is given up, which is after 15 seconds."""
    beat.terminate()
    assert beat.wait(10) == 0


def test_beat_without_a_redis_says_what_is_missing(tmp_path: Path) -> None:
    site = Installation(tmp_path)
    words = ("a scheduler needs to know its Redis", "--redis URL")
    assert_clear(site, site.run("beat"), 2, *words, secrets=[])
