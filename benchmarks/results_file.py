"""The kept results: `benchmarks/results/latest.json`, one entry for each case and server."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.outcome import Run

LATEST = Path(__file__).with_name("results") / "latest.json"


@dataclass(frozen=True, slots=True)
class Result:
    """All runs of a case on one server. `measured`: the UTC date; `machine`: lines about it."""

    case: str
    server: str
    measured: str
    machine: Sequence[str]
    runs: Mapping[str, Sequence[Run]]

    def seconds(self, client: str) -> float | None:
        """The median of the runs that were done; None if there is none."""
        return self.fact(client, None)

    def fact(self, client: str, name: str | None) -> float | None:
        """The median of a fact; None if no run told it. Without a name: of the seconds."""
        done = [run for run in self.runs.get(client, ()) if run.status == "done"]
        values = [run.facts.get(name) if name else run.seconds for run in done]
        found = [value for value in values if value is not None]
        return median(found) if found else None

    def limit(self, client: str) -> float | None:
        """The seconds at which the client was ended, if it was."""
        over = [run.seconds for run in self.runs.get(client, ()) if run.status == "over limit"]
        return max(over) if over else None

    def ending(self, client: str) -> str:
        """How its runs ended: `done` if any did, else the last one's status."""
        runs = self.runs.get(client, ())
        if not runs:
            return "not measured"
        return "done" if any(run.status == "done" for run in runs) else runs[-1].status


Results = dict[tuple[str, str], Result]
"""By case and server."""


def today() -> str:
    return dt.datetime.now(dt.UTC).date().isoformat()


def load(path: Path = LATEST) -> Results:
    """What was kept; nothing if the file is not there."""
    if not path.exists():
        return {}
    results: Results = {}
    for told in json.loads(path.read_text())["results"]:
        runs = {name: [Run.from_json(run) for run in of] for name, of in told["runs"].items()}
        result = Result(told["case"], told["server"], told["measured"], told["machine"], runs)
        results[result.case, result.server] = result
    return results


def keep(result: Result, path: Path = LATEST) -> None:
    """Put `result` in the place of what was measured of its case and server before."""
    results = load(path) | {(result.case, result.server): result}
    told = {"results": [_as_json(results[key]) for key in sorted(results)]}
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(told, indent=1) + "\n")


def _as_json(result: Result) -> dict[str, Any]:
    return {
        "case": result.case,
        "server": result.server,
        "measured": result.measured,
        "machine": list(result.machine),
        "runs": {name: [run.as_json() for run in runs] for name, runs in result.runs.items()},
    }
