"""A worker that stands still for eight seconds (SIGSTOP) and comes back, as one on a machine that
was suspended: its items are others' by then, and it must not write to anything that counts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from siteferry.run import RunState
from tests.chaos.aftermath import check_ledger, check_logs, check_report, check_site
from tests.chaos.conftest import Scene
from tests.chaos.ledger_view import LedgerView, wait_for
from tests.chaos.mode import MODE, MOST_CONNECTIONS
from tests.installation import BASE_NAME

STOPPED_SECONDS = 8.0

pytestmark = [pytest.mark.slow, pytest.mark.needs_root, pytest.mark.timeout(300)]


def test_what_a_stopped_worker_was_sending_is_sent_and_counted_by_others(scene: Scene) -> None:
    source, live = scene.fill("rough")
    ledger, run = scene.ledger, _start(scene, MODE.few_connections)
    ghost = wait_for(
        lambda: (
            min(ledger.owners_of_files(run), default=None)
            if ledger.transferred(run) >= MODE.files // 10
            else None
        ),
        "a worker sends files",
    )
    stopped_at = _stop(scene, ghost)
    # What was on its way to Redis at that moment has arrived.
    wait_for(lambda: ledger.now() > stopped_at + 1 or None, "a second passes")
    held = [item for item in ledger.claimed(run) if ledger.owner(run, item) == ghost]
    assert held
    wait_for(lambda: ledger.now() >= stopped_at + STOPPED_SECONDS or None, "it stands still")
    scene.fleet.go_on(ghost)
    assert ledger.field(run, "state") == RunState.TRANSFERRING
    result = scene.installation.run("watch", run, "--json")
    assert result.code == 0, result.output
    check_report(result.json, MODE.files)
    finished = {item: ledger.finished_attempt(run, item) for item in held}
    assert min(finished.values()) > 1, finished
    check_site(live, source)
    check_ledger(ledger, run)
    check_logs(scene.fleet)


def test_a_worker_stopped_while_it_publishes_touches_nothing_of_the_site_afterwards(
    scene: Scene,
) -> None:
    source, live = scene.fill("rough")
    ledger, run = scene.ledger, _start(scene, MOST_CONNECTIONS)
    ghost = wait_for(lambda: ledger.owner(run, "publish"), "the publish is begun")
    wait_for(lambda: any(_files(live)) or None, "the first file is published")
    stopped_at = _stop(scene, ghost)
    # A burst of renames that the server has already is carried out by it; no more than that.
    wait_for(lambda: ledger.now() > stopped_at + 1 or None, "a second passes")
    assert ledger.owner(run, "publish") == ghost
    assert 0 < sum(_files(live)) < MODE.files, "it was not stopped in the middle"
    wait_for(lambda: _has_ended(ledger, run), "another worker finishes the publish")
    wait_for(lambda: ledger.now() >= stopped_at + STOPPED_SECONDS or None, "it stands still")
    before = _marks(live)
    scene.fleet.go_on(ghost)
    wait_for(
        lambda: "task=publish ended attempt=1" in scene.fleet.log() or None, "it gives the item up"
    )
    assert "given to another worker" in scene.fleet.log()
    assert _marks(live) == before
    check_report(scene.installation.run("status", run, "--json").json, MODE.files)
    check_site(live, source)
    check_ledger(ledger, run)
    check_logs(scene.fleet)
    again = scene.installation.run("import", "rough", "--json", "--quiet")
    assert again.json["stats"] | {"bytes": 0} == {
        "uploaded": 0, "adopted": 0, "skipped": MODE.files, "failed": 0, "deleted": 0,
        "dirs_created": 0, "bytes": 0,
    }  # fmt: skip


def _start(scene: Scene, connections: int) -> str:
    started = scene.installation.run(
        "import", "rough", "--detach", "--connections", str(connections)
    )
    assert started.code == 0, started.output
    return started.stdout.strip()


def _stop(scene: Scene, pid: int) -> float:
    """SIGSTOP; gives the time by the ledger's clock."""
    scene.fleet.stop(pid)
    return scene.ledger.now()


def _has_ended(ledger: LedgerView, run: str) -> bool | None:
    return RunState(ledger.field(run, "state") or "").ended or None


def _files(live: Path) -> Iterator[bool]:
    """Of all that stands there, ours aside, whether it is a file."""
    tops = [path for path in live.iterdir() if path.name != BASE_NAME]
    return (path.is_file() for top in tops for path in (top, *top.rglob("*")))


def _marks(live: Path) -> dict[str, tuple[int, int, int]]:
    """Of everything that stands there, ours included: what changes with any write or rename."""
    found: dict[str, tuple[int, int, int]] = {}
    for path in live.rglob("*"):
        status = path.lstat()
        found[str(path)] = (status.st_ino, status.st_ctime_ns, status.st_size)
    return found
