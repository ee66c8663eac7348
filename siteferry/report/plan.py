"""What an import would do: as facts, as JSON, and as a table to read."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from siteferry.report import figures
from siteferry.report.as_json import run_object
from siteferry.report.as_text import one_line
from siteferry.run import Snapshot
from siteferry.tree.plan_digest import Step

MOST_ROWS = 40
_LOGIN_TRIPS, _PLAN_TRIPS, _PUBLISH_TRIPS = 8, 8, 30
_FILE_TRIPS = 3
_RENAMES_A_TRIP = 170
_ACTIONS = ("create", "replace", "delete")


@dataclass(frozen=True, slots=True)
class Planned:
    """One file: what is done with it, bytes, and SHA-256 (hex) where the plan has it."""

    path: str
    action: str
    size: int
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What a dry run has found out. connections: how many the run may use."""

    snapshot: Snapshot
    files: tuple[Planned, ...]
    directories: tuple[str, ...]
    connections: int

    @property
    def site(self) -> str:
        return self.snapshot.site

    @property
    def steps(self) -> Iterator[Step]:
        """What is done, as digests name it; every file that is sent has its SHA-256."""
        for file in self.files:
            if file.action == "delete":
                yield Step.delete(file.path)
            elif file.sha256 is not None:
                yield Step.put(file.path, file.size, file.sha256)

    def of(self, action: str) -> list[Planned]:
        """The files with which that is done."""
        return [file for file in self.files if file.action == action]

    @property
    def bytes_to_send(self) -> int:
        return sum(file.size for file in self.files if file.action != "delete")

    @property
    def nothing(self) -> bool:
        return not self.files and not self.directories

    @property
    def estimated_seconds(self) -> float | None:
        """From the round trip that the dry run has measured: what waiting costs, not what the line
        carries in bytes per second, which nobody has measured. None where it was not measured."""
        trip = self.snapshot.round_trip_seconds
        if trip is None:
            return None
        sent = sum(file.action != "delete" for file in self.files)
        if self.nothing:
            return trip * (_LOGIN_TRIPS + _PLAN_TRIPS)
        trips = (
            _LOGIN_TRIPS
            + _PLAN_TRIPS
            + _PUBLISH_TRIPS
            + math.ceil(sent / self.connections) * _FILE_TRIPS
            + math.ceil(len(self.files) / _RENAMES_A_TRIP)
        )
        return trips * trip


def plan_object(plan: Plan) -> dict[str, object]:
    """The plan as `--json` prints it. Keys may be added; none is ever renamed."""
    rows = {
        action: [
            {"path": f.path, "size": f.size} | ({"sha256": f.sha256} if f.sha256 else {})
            for f in plan.of(action)
        ]
        for action in _ACTIONS
    }
    estimate, trip = plan.estimated_seconds, plan.snapshot.round_trip_seconds
    return {
        "run": plan.snapshot.run,
        "site": plan.site,
        "state": plan.snapshot.state.value,
        **rows,
        "directories": list(plan.directories),
        "unchanged": plan.snapshot.skipped,
        "bytes": plan.bytes_to_send,
        "round_trip_seconds": None if trip is None else round(trip, 4),
        "estimated_seconds": None if estimate is None else round(estimate, 1),
        "failures": [{"path": f.path, "error": f.error} for f in plan.snapshot.failures],
        "warnings": list(plan.snapshot.warnings),
    }


def dumps(results: Sequence[Plan | Snapshot], many: bool) -> str:
    """One line of JSON: a list if `many`, else the object of the only one. A website that could
    not be planned is there as in the report of an import."""
    objects = [plan_object(one) if isinstance(one, Plan) else run_object(one) for one in results]
    return json.dumps(objects if many else objects[0])


def plan_table(plan: Plan) -> str:
    """The plan for a person to read: a row for each file, at most MOST_ROWS of each kind."""
    lines = [_headline(plan)]
    for action in _ACTIONS:
        files = plan.of(action)
        lines += [f"  {action:<8}{_size(f.size):>10}  {f.path}" for f in files[:MOST_ROWS]]
        if len(files) > MOST_ROWS:
            lines.append(f"  … and {len(files) - MOST_ROWS:,} more to {action}")
    lines += [f"  mkdir               {path}/" for path in plan.directories[:MOST_ROWS]]
    if len(plan.directories) > MOST_ROWS:
        lines.append(f"  … and {len(plan.directories) - MOST_ROWS:,} more directories")
    lines += [f"  failed: {f.path}: {f.error}" for f in plan.snapshot.failures]
    lines += [f"  warning: {warning}" for warning in plan.snapshot.warnings]
    return "\n".join(one_line(line) for line in lines)


def _headline(plan: Plan) -> str:
    counts = [f"{len(plan.of(action)):,} to {action}" for action in _ACTIONS if plan.of(action)]
    if plan.directories:
        counts.append(f"{len(plan.directories):,} directories to make")
    if not counts:
        return f"{plan.site}: nothing to do, {plan.snapshot.skipped:,} files are up to date"
    text = f"{plan.site}: {', '.join(counts)}, {plan.snapshot.skipped:,} up to date"
    if plan.bytes_to_send:
        text += f"; {figures.human_bytes(plan.bytes_to_send)} to send"
    if plan.estimated_seconds is not None:
        trip = figures.human_duration(plan.snapshot.round_trip_seconds or 0)
        text += f", about {figures.human_duration(plan.estimated_seconds)}"
        text += f" at {trip} for a round trip"
    return text


def _size(count: int) -> str:
    return figures.human_bytes(count)
