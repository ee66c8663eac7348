"""Schedulers in the test's own process: the real tick, files and ledger, on a given clock."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scheduler.tick import Ticker
from scheduler.website_files import WebsiteFiles
from siteferry.ledger.connection import Connection
from siteferry.ledger.items import Items
from siteferry.ledger.runs import Runs
from siteferry.ledger.schedules import ScheduleFacts, Schedules
from siteferry.run import RunState
from siteferry.settings import load_settings
from tests.inline import Queue


def at(text: str) -> float:
    """Unix seconds of a time of day in UTC, on the day of these tests."""
    return dt.datetime.fromisoformat(f"2026-06-01T{text}+00:00").timestamp()


@dataclass
class Place:
    """A configuration and a ledger, with any number of schedulers."""

    folder: Path
    connection: Connection
    runs: Runs = field(init=False)
    schedules: Schedules = field(init=False)

    def __post_init__(self) -> None:
        (self.folder / "config/websites").mkdir(parents=True)
        (self.folder / "config/siteferry.yaml").write_text("paths: {workspaces: workspaces}\n")
        self.runs, self.schedules = Runs(self.connection), Schedules(self.connection)

    def file(self, name: str) -> Path:
        return self.folder / f"config/websites/{name}.yaml"

    def write(self, name: str, cron: str | None, *, text: str = "", **schedule: str) -> None:
        """A website's file; `text` stands in it as it is."""
        content: dict[str, Any] = {
            "ftp": {"host": "ftp.example.com", "username": "u", "remote_dir": f"/{name}"}
        }
        if cron is not None:
            content["schedule"] = {"cron": cron, **schedule}
        self.file(name).write_text(f"{json.dumps(content)[:-1]}{text}}}")

    def scheduler(self) -> Ticker:
        """A new process, as far as the tick can tell."""
        settings = load_settings(self.folder / "config/siteferry.yaml", {})
        return Ticker(self.connection, Queue(), WebsiteFiles(settings, {}))  # type: ignore[arg-type]

    def facts(self, name: str) -> ScheduleFacts:
        return self.schedules.read([name])[name]

    def started(self, site: str | None = None) -> list[str]:
        """The times of day, in UTC, for which a run was started, of every run there is."""
        snapshots = (self.runs.snapshot(run, details=False) for run in self.runs.latest(100_000))
        found = [s for s in snapshots if s.due is not None and site in (None, s.site)]
        return sorted(f"{dt.datetime.fromtimestamp(s.due or 0, dt.UTC):%H:%M}" for s in found)

    def end_runs(self) -> None:
        """All that go on, so that their targets are free."""
        for run in self.connection.client.smembers(self.connection.keys.live()):
            Items(self.connection).fail_run(run, RunState.CANCELLED, None, spare_publish=False)


def turns(place: Place, first: str, last: str, *schedulers: Ticker) -> None:
    """Each scheduler's turns between two times of day; each run ends before the next turn."""
    now = at(first)
    while now <= at(last):
        for scheduler in schedulers:
            scheduler.turn(now)
        place.end_runs()
        now += 30
