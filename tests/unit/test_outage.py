"""How a Redis that is away is waited for, and told."""

from __future__ import annotations

import io
from itertools import islice

import pytest

from siteferry.ledger.outage import Outage, pauses
from siteferry.log import configure
from tests.unit.test_log import as_it_was

__all__ = ["as_it_was"]  # a fixture: logging is global, and put back


def test_pauses_double_up_to_two_seconds() -> None:
    assert list(islice(pauses(lambda: 0.0), 7)) == pytest.approx(
        [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]
    )


def test_pauses_are_shorter_by_up_to_a_fifth_so_that_not_all_come_back_at_once() -> None:
    assert list(islice(pauses(lambda: 1.0), 3)) == pytest.approx([0.08, 0.16, 0.32])


def test_an_outage_is_told_once_and_its_end_once() -> None:
    told, now = io.StringIO(), 100.0
    configure("info", "text", told)
    outage = Outage(clock=lambda: now)
    outage.over()
    assert told.getvalue() == ""
    for _ in range(3):
        outage.lasts(OSError("refused"), 30)
    now = 107.5
    outage.over()
    outage.over()
    first, second = told.getvalue().splitlines()
    assert "Redis is away; waiting for it" in first
    assert "refused" in first
    assert "at_most_seconds=30" in first
    assert "Redis is back" in second
    assert "after_seconds=7.5" in second
