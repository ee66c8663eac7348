"""When to try again is arithmetic: no clock, no network."""

from __future__ import annotations

import pytest

from siteferry.dispatch.policy import (
    FEWEST_ELSEWHERE,
    MOST_BARREN_SECONDS,
    MOST_ELSEWHERE_SECONDS,
    MOST_FRUITLESS,
    MOST_FULL_SECONDS,
    Again,
    backoff_seconds,
    decide,
    decide_elsewhere,
)
from siteferry.errors import (
    ConnectionLimited,
    HostUnreachable,
    LoginRefused,
    SessionLost,
    SiteferryError,
    SlotsBusy,
)
from siteferry.run import ItemKind


def test_each_wait_doubles_up_to_half_a_minute() -> None:
    waits = [backoff_seconds(fruitless, jitter=0) for fruitless in range(9)]
    assert waits == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_jitter_adds_up_to_a_half_and_never_shortens() -> None:
    assert backoff_seconds(2, jitter=1) == 3
    assert backoff_seconds(2, jitter=0) == 2


@pytest.mark.parametrize("kind", list(ItemKind))
def test_a_transient_error_is_tried_again_a_bounded_number_of_times(kind: ItemKind) -> None:
    error = SessionLost("gone")
    tried = [
        decide(error, kind, fruitless, 0.5, blameless=False) is not None for fruitless in range(20)
    ]
    assert sum(tried) + 1 == MOST_FRUITLESS[kind]
    assert tried == sorted(tried, reverse=True)


def test_an_item_that_comes_no_further_is_given_up_after_a_time_however_few_its_attempts() -> None:
    def again(barren_seconds: float, fruitless: int = 2) -> Again | None:
        return decide(
            SessionLost("gone"),
            ItemKind.FILES,
            fruitless,
            0.5,
            blameless=False,
            barren_seconds=barren_seconds,
        )

    assert again(MOST_BARREN_SECONDS - 1) is not None
    assert again(MOST_BARREN_SECONDS) is None
    # Two attempts, between which no worker was there, are no proof.
    assert again(MOST_BARREN_SECONDS, fruitless=1) is not None


def test_a_permanent_error_is_not_tried_again() -> None:
    assert decide(LoginRefused("no"), ItemKind.PLAN, 0, 0.5, blameless=False) is None


def test_waiting_for_a_connection_is_nobodys_fault() -> None:
    again = decide(SlotsBusy("all in use"), ItemKind.FILES, 99, 0.5, blameless=True)
    assert isinstance(again, Again)
    assert again.blameless
    assert again.delay_seconds < 1


def test_the_plan_tells_a_closed_port_within_seconds() -> None:
    waits = [
        again.delay_seconds
        for fruitless in range(10)
        if (again := decide(HostUnreachable("x"), ItemKind.PLAN, fruitless, 1, blameless=False))
    ]
    assert sum(waits) < 5


@pytest.mark.parametrize(
    ("error", "kind"),
    [(HostUnreachable("x"), ItemKind.FILES), (ConnectionLimited("x"), ItemKind.PLAN)],
)
def test_a_host_that_starts_again_or_is_full_is_waited_for_some_minutes(
    error: SiteferryError, kind: ItemKind
) -> None:
    waits = [
        again.delay_seconds
        for fruitless in range(20)
        if (again := decide(error, kind, fruitless, 0, blameless=False))
    ]
    assert 120 < sum(waits) < 600


def test_a_full_host_is_waited_for_longer_than_it_counts_dead_sessions() -> None:
    def again(barren_seconds: float) -> Again | None:
        error = ConnectionLimited("x")
        return decide(error, ItemKind.FILES, 50, 0, blameless=False, barren_seconds=barren_seconds)

    assert again(MOST_FULL_SECONDS - 1) is not None
    assert again(MOST_FULL_SECONDS) is None
    assert MOST_FULL_SECONDS > 15 * 60


def test_an_item_whose_sources_are_elsewhere_is_offered_again_after_a_pause() -> None:
    assert decide_elsewhere(1, 0, 0, others=False) == Again(0.5, blameless=True)
    assert decide_elsewhere(1, 0, 1, others=True) == Again(1.0, blameless=True)


@pytest.mark.parametrize(
    ("tries", "seconds", "others", "given_up"),
    [
        (FEWEST_ELSEWHERE, MOST_ELSEWHERE_SECONDS, False, True),
        (FEWEST_ELSEWHERE - 1, 3600, False, False),
        (1000, MOST_ELSEWHERE_SECONDS - 1, False, False),
        (1000, MOST_ELSEWHERE_SECONDS, True, False),
        (1000, MOST_BARREN_SECONDS, True, True),
    ],
    ids=["nobody has them", "workers were off", "not long", "one is busy", "one is busy for ever"],
)
def test_it_is_given_up_when_nobody_has_them_for_long(
    tries: int, seconds: float, others: bool, given_up: bool
) -> None:
    again = decide_elsewhere(tries, seconds, 0, others=others)
    assert (again is None) is given_up
