"""Which threads have hung, and which are only silent."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any, cast

from siteferry.dispatch.stillness import BUSY_TIMES, Stillness, processor_time
from siteferry.dispatch.work import Pulse, Work
from siteferry.run import Member


@dataclass
class Scene:
    """One attempt, whose thread has used so much; its last sign of life was at second 0."""

    now: float = 0.0
    used: str | None = "0 0"
    member: Member = field(default_factory=lambda: Member("run", "files-1-0", 1))
    pulse: Pulse = field(default_factory=lambda: Pulse(0.0, 0.0))
    threads: frozenset[int] = frozenset({1})

    def __post_init__(self) -> None:
        self.helper_used: str | None = None
        self.stillness = Stillness(180.0, lambda: self.now, self._used)

    def _used(self, thread: int) -> str | None:
        return self.used if thread == 1 else self.helper_used

    def still(self, until: float, *, busy: bool = False) -> float:
        """What is said at second `until`, after a look at each second before."""
        while self.now < until:
            self.now += 1
            if busy and len(self.threads) == 1:
                self.used = f"{self.now:.0f} 0"
            elif busy:
                self.helper_used = f"{self.now:.0f} 0"
            said = self.stillness.of(cast("Work", self))
        return said


def test_a_thread_that_neither_moves_nor_uses_the_processor_has_hung_after_three_minutes() -> None:
    scene = Scene()
    assert scene.still(180) == 0
    assert scene.still(183) == 183


def test_a_sign_of_life_ends_the_silence() -> None:
    scene = Scene()
    scene.still(170)
    scene.pulse.moved_at = 170
    assert scene.still(340) == 0
    assert scene.still(352) == 182


def test_a_thread_that_reads_a_huge_file_is_not_hung_until_it_stops() -> None:
    scene = Scene()
    assert scene.still(1000, busy=True) == 0
    assert scene.still(1180) == 0
    assert scene.still(1182) == 1182


def test_a_thread_that_waits_for_a_busy_helper_is_not_hung_until_that_one_hangs() -> None:
    scene = Scene(threads=frozenset({1, 2}))
    assert scene.still(1000, busy=True) == 0
    assert scene.still(1182) == 1182


def test_a_thread_that_turns_in_a_circle_has_hung_after_an_hour() -> None:
    scene = Scene()
    assert scene.still(180 * BUSY_TIMES, busy=True) == 0
    assert scene.still(180 * BUSY_TIMES + 1, busy=True) == 3601


def test_where_the_system_does_not_tell_silence_is_enough() -> None:
    assert Scene(used=None).still(182) == 182


def test_a_website_with_long_timeouts_may_be_silent_for_longer() -> None:
    scene = Scene(pulse=Pulse(0.0, 0.0, deadlines_seconds=600.0))
    assert scene.still(800) == 0
    assert scene.still(802) == 802


def test_nothing_is_kept_of_attempts_that_have_ended() -> None:
    scene = Scene()
    scene.still(5)
    assert scene.stillness._seen
    scene.stillness.forget_all_but([])
    assert not scene.stillness._seen


def test_the_processor_s_time_of_a_thread_grows_only_with_its_work() -> None:
    ready, over = threading.Event(), threading.Event()
    waiting = threading.Thread(target=lambda: (ready.set(), over.wait()))
    waiting.start()
    ready.wait()
    assert waiting.native_id is not None
    before, own = processor_time(waiting.native_id), processor_time(threading.get_native_id())
    while processor_time(threading.get_native_id()) == own:
        sum(range(10_000))
    assert processor_time(waiting.native_id) == before
    over.set()
    waiting.join()
    assert processor_time(2**22 + 1) is None


def test_a_second_thread_counts_as_long_as_it_helps() -> None:
    work = Work(cast("Any", None), Member("run", "plan", 1), cast("Any", None))
    own, seen = frozenset({threading.get_native_id()}), []

    def help_it() -> None:
        with work.helping():
            seen.append(work.threads - own)

    helper = threading.Thread(target=help_it)
    helper.start()
    helper.join()
    assert seen == [{helper.native_id}]
    assert work.threads == own
