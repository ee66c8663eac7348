"""The real tick and ledger through whole days on which the clocks change, turn by turn."""

from __future__ import annotations

from pathlib import Path

import pytest

from siteferry.ledger.connection import Connection
from siteferry.run import RunState
from tests.clock_changes import CHANGE_DAYS, ChangeDay
from tests.scheduling import Place


@pytest.mark.slow
@pytest.mark.parametrize("day", CHANGE_DAYS, ids=lambda day: day.name)
def test_two_schedulers_start_each_due_time_of_the_day_once(
    day: ChangeDay, connection: Connection, tmp_path: Path
) -> None:
    place = Place(tmp_path, connection)
    crons = {f"site-{number}": cron for number, cron in enumerate(day.due)}
    for site, cron in crons.items():
        place.write(site, cron, timezone=day.zone)
    one, other = place.scheduler(), place.scheduler()
    now = day.begin - 30
    while now < day.end:
        one.turn(now)
        other.turn(now + 0.2)
        if place.runs.live():
            place.end_runs()
        now += 30
    snapshots = [place.runs.snapshot(run) for run in place.runs.latest(10_000)]
    assert {snapshot.state for snapshot in snapshots} == {RunState.CANCELLED}
    for site, cron in crons.items():
        found = sorted(s.due for s in snapshots if s.site == site and s.due is not None)
        assert found == day.expected(cron), cron
