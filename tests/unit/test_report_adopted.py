"""What an earlier run had sent, and since when a run publishes, in reports."""

from __future__ import annotations

from dataclasses import replace

from siteferry.report.as_json import run_object
from siteferry.report.as_text import report
from tests.unit.test_report import DONE


def test_what_an_earlier_run_had_sent_is_told_as_a_part_of_what_was_uploaded() -> None:
    assert report(replace(DONE, adopted=1234)).splitlines()[1] == (
        "  2,521 uploaded (1,234 of them had been sent by an earlier run), 12 already up to date,"
        " 0 failed, 3 deleted, 1 directory created"
    )
    stats = run_object(replace(DONE, adopted=1234))["stats"]
    assert isinstance(stats, dict)
    assert (stats["uploaded"], stats["adopted"]) == (2521, 1234)


def test_since_when_a_run_publishes_is_a_time_in_json() -> None:
    assert run_object(DONE)["publishing_since"] == "2026-01-31T15:45:05.223Z"
