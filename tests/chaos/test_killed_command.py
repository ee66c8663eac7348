"""Commands that follow a run are killed: the run is the workers', and goes on."""

from __future__ import annotations

import subprocess

import pytest

from tests.chaos.aftermath import check_ledger, check_logs, check_report, check_site
from tests.chaos.conftest import Scene
from tests.chaos.ledger_view import wait_for
from tests.chaos.mode import MODE


@pytest.mark.slow
@pytest.mark.needs_root
@pytest.mark.timeout(300)
def test_a_run_whose_commands_are_killed_goes_on_and_is_shown_by_watch_and_status(
    scene: Scene,
) -> None:
    """The one that started it while files are sent, the one that watches it in the publish."""
    source, live = scene.fill("rough")
    with scene.installation.process("import", "rough", "--json", "--quiet") as command:
        run = wait_for(scene.ledger.latest, "the run is there")
        _kill_when(scene, run, "transferring", command)
    with scene.installation.process("watch", run, "--json") as command:
        _kill_when(scene, run, "publishing", command)
    watched = scene.installation.run("watch", run, "--json")
    assert watched.code == 0, watched.output
    check_report(watched.json, MODE.files)
    assert scene.installation.run("status", run, "--json").json == watched.json
    check_site(live, source)
    check_ledger(scene.ledger, run)
    check_logs(scene.fleet)


def _kill_when(scene: Scene, run: str, state: str, command: subprocess.Popen[str]) -> None:
    wait_for(lambda: scene.ledger.field(run, "state") == state or None, f"it is {state}")
    command.kill()
    assert command.wait() == -9, "the command ended before"
