"""Imports through the stack: shared, scaled, killed, and there again after `down`."""

from __future__ import annotations

import json
import re

import pytest

from siteferry.settings.models import WorkerSettings
from tests.container.stack import LIMIT_FOR_FOUR, LIMIT_FOR_TWO, Stack, kill
from tests.installation import tree_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PAGES = {f"{n % 40:02d}/page-{n}.html": f"<p>page {n}</p>" * (1 + n % 50) for n in range(1500)}
# 25 MB at 2 MiB a second, by as many connections as are allowed: time to scale, and to kill.
SLOW = {f"{n % 10}/file-{n}.bin": n.to_bytes(4, "big") * 16384 for n in range(400)}
RATE = "2MiB"


def test_two_workers_share_an_import(stack: Stack) -> None:
    source = stack.add_site("shared", PAGES)
    stack.store_password("shared")
    before = stack.ftp_log()
    done = stack.siteferry("import", "shared", "--json", "--quiet")
    shares = json.loads(done.stdout)["workers"]
    assert len(shares) == 2
    assert sum(shares.values()) == len(PAGES)
    assert stack.published("shared") == tree_of(source)
    assert stack.most_connections(before) <= LIMIT_FOR_TWO


def test_from_one_worker_to_four_while_an_import_runs(stack: Stack) -> None:
    stack.up(workers=1)
    try:
        source = stack.add_site("scaled", SLOW, LIMIT_FOR_FOUR, bandwidth=RATE)
        stack.store_password("scaled")
        before = stack.ftp_log()
        run = stack.begin("scaled")
        threads = WorkerSettings().concurrency
        assert stack.most_connections(before) <= threads
        stack.up(workers=4, wait=False)
        ended = stack.end_of(run)
        assert ended["state"] == "done"
        assert ended["stats"]["uploaded"] == len(SLOW)
        shares = ended["workers"]
        assert sum(shares.values()) == len(SLOW)
        assert len(shares) == 4, shares
        assert min(shares.values()) >= len(SLOW) // 20, f"work is not shared: {shares}"
        assert stack.published("scaled") == tree_of(source)
        assert threads < stack.most_connections(before) <= LIMIT_FOR_FOUR < 4 * threads
    finally:
        stack.up(workers=2)


def test_a_worker_and_redis_are_killed_and_the_run_completes(stack: Stack) -> None:
    source = stack.add_site("killed", SLOW, bandwidth=RATE)
    stack.store_password("killed")
    before = stack.ftp_log()
    run = stack.begin("killed")
    kill(stack.pid("worker"))
    kill(stack.pid("redis"))
    for service in ("redis", "worker"):
        stack.until_restarted(service)
        stack.until_healthy(service)
    assert stack.status(run)["state"] == "transferring"
    ended = stack.end_of(run)
    assert ended["state"] == "done", ended
    assert ended["stats"]["uploaded"] == len(SLOW)
    assert ended["stats"]["failed"] == 0
    assert stack.published("killed") == tree_of(source)
    assert stack.most_connections(before) <= LIMIT_FOR_TWO
    assert [facts["RestartCount"] for facts in stack.containers("worker")] == [0, 1]
    assert stack.containers("redis")[0]["RestartCount"] == 1
    # The volume `state` is for this: the worker that takes the place knows who has died.
    last = stack.containers("worker")[-1]["Id"]
    assert re.search(
        r"an earlier worker has died .*handed_back=[1-9]",
        stack.engine.run("docker", "logs", last).stderr,
    )


def test_credentials_and_runs_are_there_again_after_down_and_up(stack: Stack) -> None:
    stack.add_site("kept", {"index.html": "kept"})
    stack.store_password("kept")
    before = stack.siteferry("import", "kept", "--detach").stdout.split()[-1]
    assert stack.end_of(before)["state"] == "done"
    names = stack.siteferry("credential", "list").stdout
    assert "kept/FTP_PASSWORD" in names
    stack.compose("down")
    assert stack.containers() == []
    stack.up()
    assert stack.siteferry("credential", "list").stdout == names
    assert stack.status(before)["stats"]["uploaded"] == 1
    again = stack.siteferry("import", "kept", "--detach").stdout.split()[-1]
    assert stack.end_of(again)["stats"]["skipped"] == 1
