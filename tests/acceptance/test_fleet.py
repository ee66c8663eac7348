"""Many websites with one command: one that cannot be imported keeps no other from it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from siteferry.ledger.connection import connect
from siteferry.ledger.runs import Runs
from siteferry.run import RunState
from tests.acceptance.test_ending_runs import Hold, _kill_all
from tests.acceptance.test_two_workers import wait_for_workers
from tests.installation import Installation, tree_of, write_tree
from tests.private_redis import RedisServer
from tests.servers.base import FtpServer
from tests.servers.proxy import FtpProxy

CLIENTS = [f"client-{n}" for n in range(1, 6)]
SHOPS = [f"shop-{n}" for n in range(1, 5)]
FINE = [*CLIENTS, "own", *SHOPS]
ALL = sorted([*FINE, "broken", "held"])


class FleetOfTwelve:
    """Ten websites that can be imported, one with a broken file, and one behind a proxy."""

    def __init__(
        self, folder: Path, redis: RedisServer | None, server: FtpServer, proxy: FtpProxy
    ) -> None:
        self.server = server
        self.installation = Installation(folder, redis=redis.url if redis else None)
        for name in (*FINE, "held"):
            at = server.through(proxy.port) if name == "held" else server
            self.add(at, name, [] if name == "own" else [_group(name)])
        self._break_one()

    def add(self, server: FtpServer, name: str, groups: list[str]) -> None:
        identity = {"name": name, "groups": groups}
        source = self.installation.add_site(server, name, remote=name, website=identity)
        write_tree(source, {"index.html": name, "css/site.css": "a { }"})

    def _break_one(self) -> None:
        broken = self.installation.folder / "config/websites/broken.yaml"
        broken.write_text("website: {groups: [clients]}\nftp: {hostt: ftp.example.com}\n")

    def published(self, name: str) -> bool:
        source = self.installation.folder / "workspaces" / name / "output"
        return tree_of(self.server.root / name) == tree_of(source)


def _group(name: str) -> str:
    return "clients" if name.startswith("client") else "shops"


@pytest.fixture
def proxy(pyftpd_server: FtpServer) -> Iterator[FtpProxy]:
    with FtpProxy.in_front_of(pyftpd_server) as proxy:
        yield proxy


@pytest.fixture
def fleet(
    pyftpd_server: FtpServer, redis_server: RedisServer, proxy: FtpProxy, tmp_path: Path
) -> Iterator[FleetOfTwelve]:
    made = FleetOfTwelve(tmp_path, redis_server, pyftpd_server, proxy)
    with made.installation.process("worker"):
        wait_for_workers(redis_server, 1)
        yield made


def test_a_broken_file_and_a_held_target_are_rows_and_all_others_are_published(
    fleet: FleetOfTwelve, proxy: FtpProxy
) -> None:
    run = fleet.installation.run
    hold = Hold(proxy, "STOR")
    (held,) = run("import", "held", "--detach").stdout.split()
    hold.wait()

    outcome = run("import", "--all", "--json", "--quiet")
    assert outcome.code == 5, outcome.output
    results = {result["site"]: result for result in outcome.json}
    assert list(results) == ALL
    assert {name for name in ALL if results[name]["state"] == "done"} == set(FINE)
    assert all(fleet.published(name) for name in FINE)
    for name, kind, said in (
        ("broken", "ConfigurationError", "ftp.hostt: is not a known key"),
        ("held", "TargetHeld", f"run {held} holds the target"),
    ):
        assert results[name]["run"] is None
        assert results[name]["state"] == "failed"
        assert results[name]["error"]["kind"] == kind
        assert said in results[name]["error"]["message"]
    assert f"siteferry watch {held}" in results["held"]["error"]["next_step"]

    # For cron, the website with a run under way is left to that one.
    again = run("import", "shop-*", "held", "--if-not-running", "--quiet")
    assert again.code == 0, again.output
    assert again.stderr.strip() == "a run is under way already for held"
    assert "4 websites: 4 done" in again.stdout

    detached = run("import", "own", "held", "broken", "--detach")
    assert detached.code == 5
    (own,) = detached.stdout.split()
    assert run("watch", own, "--json").json["site"] == "own"
    assert re.search("^held: run .* holds the target", detached.stderr, re.MULTILINE)
    assert re.search("^broken: .*ftp.hostt", detached.stderr, re.MULTILINE)

    hold.release()
    assert run("watch", held, "--json").code == 0
    assert fleet.published("held")


def test_a_group_is_one_table_that_80_columns_hold(fleet: FleetOfTwelve) -> None:
    outcome = fleet.installation.run("import", "--group", "clients")
    assert outcome.code == 2, outcome.output
    lines = outcome.stdout.splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("SITE"))
    rows = [line.split() for line in lines[start + 1 : lines.index("", start)]]
    assert [row[:3] for row in rows] == [
        ["broken", "failed", "0"], *([name, "done", "2"] for name in CLIENTS),
    ]  # fmt: skip
    assert max(map(len, lines[start : lines.index("", start)])) <= 80
    assert "ftp.hostt: is not a known key; did you mean host?" in outcome.stdout
    assert "6 websites: 5 done, 1 failed, in " in outcome.stdout
    assert "10 uploaded, 0 already up to date" in outcome.stdout
    assert not any(fleet.published(name) for name in (*SHOPS, "own"))


def test_each_run_of_many_that_ends_is_a_line_where_there_is_no_terminal(
    fleet: FleetOfTwelve,
) -> None:
    outcome = fleet.installation.run("import", "client-*", "shop-*")
    assert outcome.code == 0, outcome.output
    ended = re.findall(r"^\[(\d)/9\] (\S+) done 2/2 files, ", outcome.stdout, re.MULTILINE)
    assert [number for number, _ in ended] == [str(n) for n in range(1, 10)]
    assert sorted(name for _, name in ended) == sorted([*CLIENTS, *SHOPS])


def test_a_plan_of_many_tells_what_cannot_be_planned_beside_the_plans(
    fleet: FleetOfTwelve,
) -> None:
    planned = fleet.installation.run("plan", "--group", "clients", "--json")
    assert planned.code == 2, planned.output
    by_site = {plan["site"]: plan for plan in planned.json}
    assert list(by_site) == ["broken", *CLIENTS]
    assert [len(by_site[name]["create"]) for name in CLIENTS] == [2] * 5
    assert by_site["broken"]["error"]["kind"] == "ConfigurationError"
    shown = fleet.installation.run("import", "--group", "clients", "--dry-run")
    assert shown.code == 2, shown.output
    assert "client-3: 2 to create" in shown.stdout
    assert "ftp.hostt: is not a known key" in shown.stdout
    assert not any(fleet.published(name) for name in CLIENTS)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["import", "clent-*"], "Did you mean client-"),
        (["import", "own", "shop-9"], "there is no website shop-9"),
        (["import", "--group", "client"], "Did you mean clients?"),
        (["import", "broken"], "ftp.hostt: is not a known key"),
        (["import", "client-*", "--plan", "config/siteferry.yaml"], "--plan is for one website"),
        (["plan", "--all", "--out", "x"], "--out is for the plan of one website"),
        (["import", "--group", "shops", "ftp://u@h/", "."], "a URL needs one directory before"),
        (["import", "--group", "shops", ".", "ftp://u@h/"], "a URL and --group"),
        (["plan"], "name at least one website"),
    ],
)
def test_a_mistake_of_the_command_starts_nothing(
    arguments: list[str], said: str, pyftpd_server: FtpServer, proxy: FtpProxy, tmp_path: Path
) -> None:
    fleet = FleetOfTwelve(tmp_path, None, pyftpd_server, proxy)
    outcome = fleet.installation.run(*arguments)
    assert outcome.code == 2, outcome.output
    assert said in outcome.stderr
    assert "Traceback" not in outcome.output
    assert not (tmp_path / "state").exists()


def test_a_missing_workspace_is_a_row_and_without_any_website_nothing_is_started(
    pyftpd_server: FtpServer, proxy: FtpProxy, tmp_path: Path
) -> None:
    fleet = FleetOfTwelve(tmp_path, None, pyftpd_server, proxy)
    for name in ("client-1", "client-2"):
        (tmp_path / "workspaces" / name).rename(tmp_path / f"gone-{name}")
    outcome = fleet.installation.run("import", "client-[12]", "broken", "--json")
    assert outcome.code == 2, outcome.output
    assert [result["run"] for result in outcome.json] == [None] * 3
    assert not (tmp_path / "state").exists()
    with_one = fleet.installation.run("import", "client-[123]", "--json", "--quiet")
    assert with_one.code == 2, with_one.output
    assert [result["state"] for result in with_one.json] == ["failed", "failed", "done"]
    assert "workspaces/client-1" in with_one.json[0]["error"]["message"]


@pytest.mark.slow
def test_where_no_worker_answers_every_website_fails_for_it(
    redis_server: RedisServer, pyftpd_server: FtpServer, proxy: FtpProxy, tmp_path: Path
) -> None:
    fleet = FleetOfTwelve(tmp_path, redis_server, pyftpd_server, proxy)
    outcome = fleet.installation.run("import", "--all", "--json", "--quiet")
    assert outcome.code == 7, outcome.output
    kinds = {result["site"]: result["error"]["kind"] for result in outcome.json}
    assert kinds == dict.fromkeys(ALL, "NoWorker") | {"broken": "ConfigurationError"}


# -- interrupts ------------------------------------------------------------------------------------

QUEUE = [f"queued-{n}" for n in range(5)]


class Queue:
    """Five websites on one account that admits one connection, behind a proxy."""

    def __init__(self, installation: Installation, server: FtpServer, proxy: FtpProxy) -> None:
        self.installation, self.server = installation, server
        for name in QUEUE:
            source = installation.add_site(
                server.through(proxy.port), name, remote=name, ftp={"max_connections": 1}
            )
            write_tree(source, {"index.html": name, "page.html": name})

    def published(self) -> int:
        folder = self.installation.folder / "workspaces"
        return sum(
            tree_of(self.server.root / name) == tree_of(folder / name / "output") for name in QUEUE
        )


@pytest.fixture
def queue(
    pyftpd_server: FtpServer, redis_server: RedisServer, proxy: FtpProxy, tmp_path: Path
) -> Iterator[Queue]:
    made = Queue(Installation(tmp_path, redis=redis_server.url), pyftpd_server, proxy)
    with made.installation.process("worker"):
        wait_for_workers(redis_server, 1)
        yield made


@contextmanager
def interruptible(installation: Installation, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A command whose words can be read while it goes on."""
    with subprocess.Popen(
        installation.argv(*arguments),
        env=installation.env(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=installation.folder,
    ) as command:
        try:
            yield command
        finally:
            command.kill()


def states(redis: RedisServer) -> list[RunState]:
    connection = connect(redis.url)
    try:
        runs = Runs(connection)
        return [found.state for found in runs.snapshots(runs.latest()).values()]
    finally:
        connection.client.close()


@pytest.mark.parametrize("begun", ["sending", "publishing"])
def test_an_interrupt_cancels_what_has_not_begun_to_publish_and_tells_how_many(
    begun: str, queue: Queue, redis_server: RedisServer, proxy: FtpProxy
) -> None:
    if begun == "sending":
        hold = Hold(proxy, "STOR")
    else:
        hold = Hold(proxy, "RNTO", ends="/.htjournal", number=2)
    with interruptible(queue.installation, "import", "queued-*", "--json", "--quiet") as command:
        hold.wait()
        os.kill(command.pid, signal.SIGINT)
        assert command.stderr is not None
        said = command.stderr.readline()
        if begun == "publishing":
            assert "interrupt again to leave it" in command.stderr.readline()
        hold.release()
        printed, _ = command.communicate(timeout=60)
    assert command.returncode == 130
    done, publishing = (0, 0) if begun == "sending" else (1, 1)
    cancelled = len(QUEUE) - done - publishing
    assert f"interrupted: {cancelled} cancelled before they touched a live site" in said
    assert ("1 on their way through publishing, 1 had ended" in said) == bool(publishing)
    ended = ["cancelled"] * cancelled + ["done"] * (done + publishing)
    assert sorted(states(redis_server)) == ended
    assert sorted(result["state"] for result in json.loads(printed)) == ended
    assert queue.published() == done + publishing


def test_a_second_interrupt_leaves_what_publishes_to_the_worker(
    queue: Queue, redis_server: RedisServer, proxy: FtpProxy
) -> None:
    hold = Hold(proxy, "RNTO", ends="/.htjournal")
    with interruptible(queue.installation, "import", "queued-0", "--quiet") as command:
        hold.wait()
        os.kill(command.pid, signal.SIGINT)
        assert command.stderr is not None
        assert "interrupt again to leave it" in command.stderr.readline()
        os.kill(command.pid, signal.SIGINT)
        assert command.wait(20) == 130
    (run,) = states(redis_server)
    assert run is RunState.PUBLISHING
    hold.release()
    watched = queue.installation.run("watch", "--json")
    assert (watched.code, watched.json["state"]) == (0, "done")
    assert queue.published() == 1


@pytest.mark.slow
def test_on_the_private_server_runs_of_a_command_that_is_gone_are_finished_together(
    pyftpd_server: FtpServer, proxy: FtpProxy, tmp_path: Path
) -> None:
    installation = Installation(tmp_path)
    queue = Queue(installation, pyftpd_server, proxy)
    hold = Hold(proxy, "STOR")
    with installation.process("import", "--all") as command:
        hold.wait()
        _kill_all(command.pid)
        hold.release()
    again = installation.run("import", "--all", "--json", "--quiet")
    assert again.code == 0, again.output
    assert "finishing 5 runs first, whose command is gone" in again.stderr
    assert [result["state"] for result in again.json] == ["done"] * 5
    assert queue.published() == len(QUEUE)
