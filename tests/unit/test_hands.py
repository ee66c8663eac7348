"""What a worker process says of its threads: which are spoken for, and whether it wants more."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from siteferry.dispatch.hands import EXPECTED_SECONDS, LACKING_SECONDS, Hands
from siteferry.run import Member


class Process:
    """One with so many threads, at a time of its own."""

    def __init__(self, threads: int) -> None:
        self.now = 0.0
        self.hands = Hands(threads, lambda: self.now)

    def carrying(self, *items: int) -> list[Any]:
        works = [cast("Any", SimpleNamespace(member=member(item))) for item in items]
        for work in works:
            self.hands.arrived(work.member)
            self.hands.take(work)
        return works


def member(item: int) -> Member:
    return Member("run", f"files-{item}", 1)


def test_the_thread_of_an_item_that_ends_is_free_for_the_next_one() -> None:
    process = Process(2)
    first, second = process.carrying(1, 2)
    assert process.hands.load() is None
    assert process.hands.beside(first) == 1
    process.hands.put_down(first, [member(3)])
    assert process.hands.load() is None, "the next one is on its way"
    process.carrying(3)
    assert process.hands.beside(second) == 1


def test_two_threads_that_end_at_once_may_both_have_a_next_one() -> None:
    process = Process(2)
    first, second = process.carrying(1, 2)
    assert (process.hands.beside(first), process.hands.beside(second)) == (1, 1)
    process.hands.put_down(first, [member(3)])
    process.hands.put_down(second, [member(4)])
    assert process.hands.load() is None


def test_while_the_own_queue_has_enough_for_all_threads_nothing_is_added_to_it() -> None:
    """The thread took an item of the shared queue meanwhile, so the one in its own still waits."""
    process = Process(2)
    first, second = process.carrying(1, 2)
    process.hands.beside(first)
    process.hands.put_down(first, [member(3)])
    process.carrying(9)
    assert process.hands.beside(second) is None
    process.hands.put_down(second)
    process.carrying(3)
    assert process.hands.load() is None


def test_a_place_that_was_kept_for_nothing_is_given_back() -> None:
    process = Process(2)
    first, _ = process.carrying(1, 2)
    process.hands.beside(first)
    process.hands.put_down(first)
    assert process.hands.load() == 1


def test_what_does_not_come_is_not_waited_for_longer_than_the_sweeper_leaves_it_there() -> None:
    process = Process(1)
    (first,) = process.carrying(1)
    process.hands.beside(first)
    process.hands.put_down(first, [member(2)])
    process.now = EXPECTED_SECONDS
    assert process.hands.load() is None
    process.now += 0.1
    assert process.hands.load() == 0


def test_who_lacks_sources_is_left_nothing_for_a_minute() -> None:
    process = Process(2)
    process.hands.lacked()
    process.now = LACKING_SECONDS - 1
    assert process.hands.load() is None
    process.now = LACKING_SECONDS
    assert process.hands.load() == 0
