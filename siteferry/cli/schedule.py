"""`siteferry schedule`: what schedules ask for, and what became of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

import click

from siteferry.cli.ledger_access import open_ledger
from siteferry.cli.options import GlobalOptions
from siteferry.ledger.runs import Runs
from siteferry.ledger.schedules import ScheduleFacts, Schedules
from siteferry.report.schedules import (
    LastDue,
    ListedSchedule,
    WaitingDue,
    schedules_json,
    schedules_table,
)
from siteferry.run import Snapshot
from siteferry.websites import Chosen, Schedule, choose_websites


@click.group("schedule")
def schedule() -> None:
    """List schedules: next times, last results."""


@schedule.command("list")
@click.argument("sites", nargs=-1, metavar="[SITE]...")
@click.option("--next", "count", default=1, show_default=True, type=click.IntRange(1, 1000),
              help="How many times to come are shown of each.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print a list as JSON.")
@click.pass_obj
def list_command(options: GlobalOptions, sites: tuple[str, ...], count: int, as_json: bool) -> None:
    """List the schedules of all websites, or of SITEs (names or patterns).

    Times are in the schedule's own zone. Websites without a schedule are left out; one whose file
    is not as it must be is listed with the reason, for it is not scheduled.

    \b
    siteferry schedule list
    siteferry schedule list example --next 5
    """
    settings = options.load()
    chosen = choose_websites(settings, sites, every=not sites)
    with open_ledger(settings) as ledger:
        facts = Schedules(ledger.connection).read([one.name for one in chosen])
        runs = [known.last.run for known in facts.values() if known.last and known.last.run]
        snapshots = Runs(ledger.connection).snapshots(runs)
    now = dt.datetime.now(dt.UTC)
    listed = _listed(chosen, facts, snapshots, now, count)
    if as_json:
        click.echo(schedules_json(listed))
    elif listed:
        click.echo(schedules_table(listed, now))
    else:
        click.echo("no website has a schedule")


def _listed(
    chosen: Sequence[Chosen],
    facts: Mapping[str, ScheduleFacts],
    snapshots: Mapping[str, Snapshot],
    now: dt.datetime,
    count: int,
) -> list[ListedSchedule]:
    found: list[ListedSchedule] = []
    for one in chosen:
        if one.website is None:
            found.append(ListedSchedule(one.name, error=str(one.error)))
        elif one.website.schedule is not None:
            known = facts.get(one.name)
            found.append(_one(one.name, one.website.schedule, known, snapshots, now, count))
    return found


def _one(
    site: str,
    schedule: Schedule,
    facts: ScheduleFacts | None,
    snapshots: Mapping[str, Snapshot],
    now: dt.datetime,
    count: int,
) -> ListedSchedule:
    from scheduler.timetable import next_due_times, zone_of

    zone = zone_of(schedule)

    def shown(seconds: float) -> dt.datetime:
        return dt.datetime.fromtimestamp(seconds, zone)

    last, waiting = None, None
    if facts is not None and facts.last is not None:
        told = facts.last
        state = snapshots[told.run].state.value if told.run in snapshots else ""
        settled = dt.datetime.fromtimestamp(told.at, dt.UTC)
        last = LastDue(shown(told.due), told.outcome.value, told.run, state, told.reason, settled)
    if facts is not None and facts.waits is not None:
        waiting = WaitingDue(shown(facts.waits), facts.holder)
    return ListedSchedule(
        site,
        schedule.cron,
        schedule.timezone,
        schedule.overlap,
        schedule.missed,
        tuple(next_due_times(schedule, now, count)),
        last,
        waiting,
    )
