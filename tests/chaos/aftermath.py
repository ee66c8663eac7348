"""What must hold after a run, whatever went wrong in it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from tests.chaos.conftest import Scene
from tests.chaos.fleet import Fleet
from tests.chaos.ledger_view import LedgerView, wait_for
from tests.installation import left_over, tree_of

_SECONDS_TO_QUIET = 20.0
"""An idle session waits 3 seconds, a lease lives 5, a sweep comes each second."""

_BAD = re.compile(r"given up|unexpected error|the (heartbeat|sweeper|sessions) failed")


def check_all(scene: Scene, report: dict[str, Any], live: Path, source: Path, files: int) -> None:
    """All of the below."""
    check_report(report, files)
    check_site(live, source)
    check_ledger(scene.ledger, report["run"])
    check_logs(scene.fleet)


def check_report(report: dict[str, Any], files: int) -> None:
    """All were uploaded, each counted once, and the workers' shares are the same files."""
    assert report["state"] == "done", report
    assert report["exit_code"] == 0
    assert report["error"] is None
    assert report["failures"] == []
    stats = report["stats"]
    assert (stats["uploaded"], stats["failed"], stats["skipped"]) == (files, 0, 0), stats
    assert sum(report["workers"].values()) == files, report["workers"]


def check_site(live: Path, source: Path) -> None:
    """What stands is the source, byte for byte, and nothing of ours beside it."""
    assert tree_of(live) == tree_of(source)
    assert left_over(live) == []


def check_ledger(ledger: LedgerView, run: str) -> None:
    """Nothing counts as under way, no lease lives on, and no item was given up."""
    found: dict[str, object] = {}

    def is_quiet() -> bool | None:
        found.clear()
        found.update(ledger.unquiet())
        return None if found else True

    wait_for(is_quiet, f"the ledger is quiet; it has {found}", _SECONDS_TO_QUIET)
    last = json.loads(ledger.field(run, "last_error") or "{}")
    # What an attempt met and a later one mended stays as the last error; its kind must not be one
    # with which an item is given up.
    assert last.get("kind") != "Unexpected", last


def check_logs(fleet: Fleet) -> None:
    """No item was taken for poison, and no worker met an error that has no name."""
    assert [line for line in fleet.log().splitlines() if _BAD.search(line)] == []
