"""Workers without the website's sources or file, beside one that has them, and alone."""

from __future__ import annotations

import shutil
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from siteferry.dispatch.carry import carry
from siteferry.dispatch.policy import MOST_ELSEWHERE_SECONDS
from siteferry.dispatch.runtime import Runtime
from siteferry.run import ItemKind, Member, RunState
from tests.holdings import node_of, wait_until
from tests.inline import STEPS, make_worker, start, work_off
from tests.installation import Installation, tree_of, write_tree
from tests.private_redis import RedisServer
from tests.servers.base import FtpServer

PAGES = {f"d{number % 3}/page-{number:02}.html": f"page {number}" for number in range(40)}


class Machines:
    """Two machines with one Redis: the first has all, the second what a test leaves it."""

    def __init__(self, folder: Path, redis: RedisServer, server: FtpServer) -> None:
        self.redis = redis
        self.whole = self._make(folder / "whole", server)
        self.lacking = self._make(folder / "lacking", server)
        write_tree(self.source(self.whole), PAGES)

    def _make(self, folder: Path, server: FtpServer) -> Installation:
        folder.mkdir()
        made = Installation(folder, redis=self.redis.url)
        made.configure(batch={"files": 5})
        made.add_site(server)
        return made

    @staticmethod
    def source(installation: Installation) -> Path:
        return installation.folder / "workspaces/example/output"

    def hide_sources(self) -> None:
        """As where a volume is not mounted: its mount point is there."""
        self.source(self.lacking).rmdir()

    def hide_website(self) -> None:
        (self.lacking.folder / "config/websites/example.yaml").unlink()


@pytest.fixture
def machines(pyftpd_server: FtpServer, redis_server: RedisServer, tmp_path: Path) -> Machines:
    return Machines(tmp_path, redis_server, pyftpd_server)


@pytest.mark.parametrize("missing", ["sources", "website"])
def test_a_worker_that_lacks_them_leaves_the_items_to_the_one_that_has_them(
    missing: str, machines: Machines, pyftpd_server: FtpServer
) -> None:
    """It comes first, so the plan is its to give back; and it stays beside the other one."""
    (machines.hide_sources if missing == "sources" else machines.hide_website)()
    with ExitStack() as stack:
        lacking = stack.enter_context(machines.lacking.process("worker"))
        lacking_node = node_of(machines.redis, lacking)
        run = machines.whole.run("import", "example", "--detach").stdout.strip()
        with machines.redis.client() as client:
            warned = f"warning:elsewhere:{lacking_node}"
            wait_until(lambda: client.hexists(f"siteferry:run:{run}", warned), "nothing was said")
        whole = stack.enter_context(machines.whole.process("worker"))
        whole_node = node_of(machines.redis, whole)
        result = machines.whole.run("watch", run, "--json")
    assert result.code == 0, result.output
    assert result.json["stats"]["uploaded"] == len(PAGES)
    assert result.json["stats"]["failed"] == 0
    assert result.json["workers"] == {whole_node: len(PAGES)}
    what = "the sources" if missing == "sources" else "the file"
    (warning,) = result.json["warnings"]
    assert warning.startswith(f"worker {lacking_node} does not have {what} of website example (")
    log = (machines.lacking.folder / "worker.log").read_text()
    assert log.count("the sources are elsewhere") == 1, "once for each run"
    live = pyftpd_server.root / "public_html"
    assert tree_of(live) == tree_of(machines.source(machines.whole))


def worker_of(
    installation: Installation, redis: RedisServer, monkeypatch: pytest.MonkeyPatch, node: str
) -> Runtime:
    for name, value in installation.environment.items():
        monkeypatch.setenv(name, value)
    return make_worker(installation, redis, node)


def carry_next(worker: Runtime) -> None:
    member: Member = worker.broker.members.popleft()  # type: ignore[attr-defined]
    carry(worker, member, STEPS[ItemKind.of(member.item)])


def make_older(worker: Runtime, run: str, item: str, seconds: float, tries: int) -> None:
    """As if the item had been offered around for so long."""
    client, key = worker.connection.client, worker.connection.keys.elsewhere(run)
    _, _, nodes = client.hget(key, item).split(" ", 2)
    client.hset(key, item, f"{tries} {time.time() - seconds} {nodes}")


def offer_plan(worker: Runtime, run: str) -> None:
    """Let `worker` have the plan, which comes back after a pause."""
    carry_next(worker)
    client, keys = worker.connection.client, worker.connection.keys
    assert client.zscore(keys.delayed(), f"{run} plan") > time.time() + 0.3
    client.zadd(keys.delayed(), {f"{run} plan": 0})


def test_what_nobody_has_is_given_up_after_a_minute_and_the_run_says_who_lacks_it(
    machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    machines.hide_sources()
    one = worker_of(machines.lacking, machines.redis, monkeypatch, "one")
    two = worker_of(machines.lacking, machines.redis, monkeypatch, "two")
    two.broker = one.broker
    run = start(one)
    for worker in (one, two):
        worker.slots.beat(worker.node, [])
        offer_plan(worker, run)
        work_off(one, run, lambda: bool(one.broker.members))  # type: ignore[attr-defined]
    assert one.runs.state(run) is RunState.PLANNING
    make_older(one, run, "plan", MOST_ELSEWHERE_SECONDS, tries=30)
    carry_next(one)
    ended = one.runs.snapshot(run)
    assert ended.state is RunState.FAILED
    assert ended.error is not None
    assert (ended.error.kind, ended.error.exit_code) == ("SourceElsewhere", 2)
    assert "no worker has the sources of website example: not on one, two" in ended.error.message
    assert str(machines.source(machines.lacking)) in ended.error.message
    assert "Mount the workspace" in ended.error.next_step
    assert [warning.split()[1] for warning in ended.warnings] == ["one", "two"]


def test_a_worker_that_lives_and_had_no_turn_is_waited_for(
    machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    machines.hide_sources()
    worker = worker_of(machines.lacking, machines.redis, monkeypatch, "one")
    worker.slots.beat("one", [])
    worker.slots.beat("a-busy-one", [])
    run = start(worker)
    offer_plan(worker, run)
    work_off(worker, run, lambda: bool(worker.broker.members))  # type: ignore[attr-defined]
    make_older(worker, run, "plan", MOST_ELSEWHERE_SECONDS, tries=30)
    carry_next(worker)
    assert worker.runs.state(run) is RunState.PLANNING


def test_a_worker_that_has_them_ends_the_series(
    machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    machines.hide_sources()
    lacking = worker_of(machines.lacking, machines.redis, monkeypatch, "lacking")
    whole = worker_of(machines.whole, machines.redis, monkeypatch, "whole")
    whole.broker = lacking.broker
    run = start(lacking)
    offer_plan(lacking, run)
    done = work_off(whole, run)
    assert (done.state, done.transferred) == (RunState.DONE, len(PAGES))
    assert not whole.connection.client.exists(whole.connection.keys.elsewhere(run))
    whole.pool.close_idle(everything=True)


def planned_and_compared(worker: Runtime) -> str:
    """A run whose next item is a batch of files."""
    run = start(worker)
    queue = worker.broker.members  # type: ignore[attr-defined]
    work_off(worker, run, lambda: bool(queue) and queue[0].item.startswith("files"))
    return run


def test_sources_that_go_away_in_the_middle_fail_no_file(
    machines: Machines, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    worker = worker_of(machines.whole, machines.redis, monkeypatch, "one")
    run = planned_and_compared(worker)
    source = machines.source(machines.whole)
    source.rename(tmp_path / "away")
    carry_next(worker)
    assert worker.runs.snapshot(run).failed == 0
    (tmp_path / "away").rename(source)
    done = work_off(worker, run)
    assert (done.state, done.transferred, done.failed) == (RunState.DONE, len(PAGES), 0)
    worker.pool.close_idle(everything=True)


def test_a_single_file_that_is_gone_has_failed(
    machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = worker_of(machines.whole, machines.redis, monkeypatch, "one")
    run = planned_and_compared(worker)
    shutil.rmtree(machines.source(machines.whole) / "d1")
    done = work_off(worker, run)
    assert done.state is RunState.INCOMPLETE
    assert {failure.path for failure in done.failures} == {p for p in PAGES if p.startswith("d1/")}
    worker.pool.close_idle(everything=True)
