"""Starts the imports of many websites with one command, each whatever becomes of the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import click

from siteferry.cli.following import conclude
from siteferry.cli.interrupting import tell_interrupted
from siteferry.cli.launch import INTERRUPTED, Launch, Waited, launching
from siteferry.cli.options import GlobalOptions
from siteferry.cli.selection import with_sources
from siteferry.errors import LedgerUnreachable, NoWorker, SiteferryError, TargetHeld
from siteferry.ledger.runs import Runs
from siteferry.report.as_text import one_line
from siteferry.report.not_started import not_started
from siteferry.report.outcome import highest
from siteferry.run import Snapshot
from siteferry.settings import Settings
from siteferry.websites import Chosen, Website
from siteferry.websites.run_options import RunOptions

_MOST_NAMES = 10


@dataclass(frozen=True, slots=True)
class Output:
    """How a command tells what becomes of its runs: detached ones only by their names."""

    as_json: bool
    quiet: bool
    detach: bool = False

    @property
    def told_nothing(self) -> bool:
        """Whether only errors are told, as cron needs it: what is printed there is mail."""
        return self.quiet and self.detach


@dataclass(slots=True)
class Fleet:
    """What became of each website, by its name: a run, an error, or the run of another command that
    is under way and is left to it. Those after an interrupt are in none of the three."""

    runs: dict[str, str] = field(default_factory=dict)
    refused: dict[str, SiteferryError] = field(default_factory=dict)
    under_way: dict[str, str] = field(default_factory=dict)
    interrupted: bool = False

    def results(self, chosen: Sequence[Chosen], ended: Sequence[Snapshot]) -> list[Snapshot]:
        """One for each website that was started or refused, in the order of `chosen`."""
        by_run = {snapshot.run: snapshot for snapshot in ended}
        found: list[Snapshot] = []
        for one in chosen:
            if one.name in self.refused:
                found.append(not_started(one.name, self.refused[one.name]))
            elif one.name in self.runs and self.runs[one.name] in by_run:
                found.append(by_run[self.runs[one.name]])
        return found


def import_fleet(
    options: GlobalOptions,
    settings: Settings,
    chosen: Sequence[Chosen],
    wanted: RunOptions,
    output: Output,
    *,
    if_not_running: bool = False,
) -> int:
    """Import all that can be, and report; gives the exit code, the highest of theirs."""
    if settings.redis.url is None:
        chosen = with_sources(chosen, settings)
    websites = [one.website for one in chosen if one.website is not None]
    if not websites:
        return _report(Fleet(refused=refused_before(chosen)), Waited([]), chosen, output)
    with launching(options, settings, websites) as launch:
        fleet = start_fleet(launch, chosen, wanted, if_not_running=if_not_running)
        if not output.told_nothing:
            _tell_under_way(fleet.under_way)
        if output.detach:
            return _report_detached(fleet, output)
        return _report(fleet, follow_fleet(launch, fleet, output), chosen, output)


def _report(fleet: Fleet, waited: Waited, chosen: Sequence[Chosen], output: Output) -> int:
    results = fleet.results(chosen, waited.snapshots)
    code = conclude(results, json=output.as_json, many=True)
    return INTERRUPTED if fleet.interrupted or waited.cut_short else code


def _report_detached(fleet: Fleet, output: Output) -> int:
    for site, error in fleet.refused.items():
        for line in str(error).splitlines():
            click.echo(one_line(f"{site}: {line}"), err=True)
    if fleet.interrupted:
        return INTERRUPTED
    for run in () if output.quiet else fleet.runs.values():
        click.echo(run)
    return highest(error.exit_code for error in fleet.refused.values())


def refused_before(chosen: Sequence[Chosen]) -> dict[str, SiteferryError]:
    """What is wrong with files and workspaces."""
    return {one.name: one.error for one in chosen if one.error is not None}


def start_fleet(
    launch: Launch,
    chosen: Sequence[Chosen],
    options: RunOptions,
    *,
    if_not_running: bool = False,
) -> Fleet:
    """Start a run for each website that can be read. An interrupt cancels what was started.

    Raises:
        LedgerUnreachable: Redis stays away; what was started goes on.
    """
    fleet = Fleet(refused=refused_before(chosen))
    websites = [one.website for one in chosen if one.website is not None]
    try:
        held = _enter_each(launch, fleet, websites, options)
        if held and launch.are_orphans():
            _finish_first(launch, [error.run for error in held.values()])
            again = [website for website in websites if website.name in held]
            held = _enter_each(launch, fleet, again, options)
    except KeyboardInterrupt:
        fleet.interrupted = True
        begun = len(fleet.runs) + len(fleet.refused)
        tell_interrupted(launch.cancel(list(fleet.runs.values())), len(chosen) - begun)
        return fleet
    except LedgerUnreachable:
        click.echo(f"{len(fleet.runs):,} runs had been started: siteferry runs", err=True)
        raise
    if if_not_running:
        fleet.under_way = {site: error.run for site, error in held.items()}
    else:
        fleet.refused |= held
    return fleet


def follow_fleet(launch: Launch, fleet: Fleet, output: Output) -> Waited:
    """Follow all of its runs to their ends; where no worker answers, that is the end of each."""
    runs = list(fleet.runs.values())
    if not runs:
        return Waited([], fleet.interrupted)
    try:
        return launch.wait(
            runs, as_json=output.as_json, quiet=output.quiet, interrupted=fleet.interrupted
        )
    except NoWorker:
        known = Runs(launch.ledger.connection)
        return Waited([known.snapshot(run) for run in runs], fleet.interrupted)


def _enter_each(
    launch: Launch, fleet: Fleet, websites: Sequence[Website], options: RunOptions
) -> dict[str, TargetHeld]:
    """Enter a run for each, and note what refuses one; gives those whose target is held by a run
    that is none of this fleet's."""
    from scheduler.start import new_run_name

    held: dict[str, TargetHeld] = {}
    for website in websites:
        # Noted before it is entered: an interrupt in between must find it.
        fleet.runs[website.name] = new_run_name()
        try:
            launch.enter(website, options, fleet.runs[website.name])
        except SiteferryError as error:
            del fleet.runs[website.name]
            if isinstance(error, LedgerUnreachable):
                raise
            if isinstance(error, TargetHeld) and error.run not in fleet.runs.values():
                held[website.name] = error
            else:
                fleet.refused[website.name] = error
    return held


def _finish_first(launch: Launch, orphans: Sequence[str]) -> None:
    click.echo(f"finishing {len(orphans):,} runs first, whose command is gone", err=True)
    if launch.wait(orphans, as_json=True, quiet=True).interrupted:
        raise KeyboardInterrupt


def _tell_under_way(under_way: Mapping[str, str]) -> None:
    if not under_way:
        return
    names = list(under_way)[:_MOST_NAMES]
    rest = f" and {len(under_way) - len(names):,} more" if len(under_way) > len(names) else ""
    click.echo(f"a run is under way already for {', '.join(names)}{rest}", err=True)
