"""A run as `--json` prints it. Keys may be added; none is ever renamed."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Sequence

from siteferry.report.outcome import exit_code
from siteferry.run import Direction, Snapshot
from siteferry.secret import redact


def run_object(snapshot: Snapshot) -> dict[str, object]:
    """Give the object of one run. Seconds have three decimals, times are ISO 8601 in UTC.

    `exit_code`, `ended`, `publishing_since` and `publish_seconds` are None while they are not
    known, `due` where no schedule has started the run, `error` where the run as a whole met none,
    `run` where none could be started. `adopted` files count as carried, too.
    """
    carried = "uploaded" if snapshot.direction is Direction.IMPORT else "downloaded"
    return {
        "run": snapshot.run or None,
        "site": snapshot.site,
        "direction": snapshot.direction.value,
        "state": snapshot.state.value,
        "stats": {
            carried: snapshot.transferred,
            "adopted": snapshot.adopted,
            "skipped": snapshot.skipped,
            "failed": snapshot.failed,
            "deleted": snapshot.deleted,
            "dirs_created": snapshot.dirs_created,
            "bytes": snapshot.transferred_bytes,
        },
        "retries": snapshot.retries,
        "seconds": round(snapshot.seconds, 3),
        "publish_seconds": _rounded(snapshot.publish_seconds),
        "started": _iso(snapshot.started),
        "publishing_since": _iso(snapshot.publishing_since),
        "ended": _iso(snapshot.ended),
        "due": _iso(snapshot.due),
        "exit_code": exit_code(snapshot) if snapshot.state.ended else None,
        "error": _masked(dataclasses.asdict(snapshot.error)) if snapshot.error else None,
        "failures": [
            # A path is what its owner must be able to find: it is given as it is.
            {**_masked(dataclasses.asdict(failure)), "path": failure.path}
            for failure in snapshot.failures
        ],
        "warnings": [redact(warning) for warning in snapshot.warnings],
        "workers": dict(snapshot.workers),
    }


def dumps(snapshots: Sequence[Snapshot], many: bool) -> str:
    """Give one line of JSON: a list of objects if `many`, else the object of the only snapshot.

    Raises ValueError where not `many` and there is not exactly one. The text is ASCII: names that
    are not valid UTF-8, and every control character, stand as `\\u` escapes.
    """
    objects = [run_object(snapshot) for snapshot in snapshots]
    if many:
        return json.dumps(objects)
    (only,) = objects
    return json.dumps(only)


def _masked(facts: dict[str, object]) -> dict[str, object]:
    return {key: redact(fact) if isinstance(fact, str) else fact for key, fact in facts.items()}


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def _iso(unix_seconds: float | None) -> str | None:
    if unix_seconds is None:
        return None
    when = dt.datetime.fromtimestamp(unix_seconds, dt.UTC)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")
