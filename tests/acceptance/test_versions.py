"""Producers and workers of different versions: the run says so, and goes on."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from siteferry import __version__
from siteferry.dispatch.versions import Versions
from siteferry.ledger.connection import Connection
from siteferry.ledger.runs import Runs
from tests.inline import make_worker, work_off
from tests.inline import start as start_inline
from tests.installation import Installation, tree_of, write_tree
from tests.private_redis import RedisServer
from tests.probing import own_worker
from tests.servers.base import FtpServer

PAGES = {f"d{n % 4}/page-{n:02}.html": f"page {n}" for n in range(40)}
OTHER = "0.0.9"

pytestmark = pytest.mark.slow


@pytest.fixture
def installation(
    redis_server: RedisServer, pyftpd_server: FtpServer, tmp_path: Path
) -> Installation:
    made = Installation(tmp_path, redis=redis_server.url)
    made.configure(batch={"files": 5})
    write_tree(made.add_site(pyftpd_server), PAGES)
    return made


def warnings_of(installation: Installation, run: str) -> list[str]:
    """Those of the report, which must be of a run that is done."""
    result = installation.run("watch", run, "--json")
    assert result.code == 0, result.output
    warnings: list[str] = result.json["warnings"]
    return warnings


def start(installation: Installation) -> str:
    return installation.run("import", "example", "--detach").stdout.strip()


def logged(installation: Installation) -> int:
    return (installation.folder / "worker.log").read_text().count("started by another version")


def test_a_worker_of_another_version_is_told_once_in_the_report_and_once_in_its_log(
    installation: Installation, pyftpd_server: FtpServer
) -> None:
    with own_worker(installation, "--version", OTHER):
        run = start(installation)
        (warning,) = warnings_of(installation, run)
        again = start(installation)
        assert len(warnings_of(installation, again)) == 1
    assert warning.startswith(f"this run was started by siteferry {__version__}, and worker ")
    assert warning.endswith(f" is {OTHER}: results may differ; bring both to one version")
    assert logged(installation) == 1
    told = installation.run("status", run).stdout
    assert "results may differ" in told
    source = installation.folder / "workspaces/example/output"
    assert tree_of(pyftpd_server.root / "public_html") == tree_of(source)


def test_workers_of_the_producers_version_have_nothing_to_say(installation: Installation) -> None:
    with installation.process("worker"):
        assert warnings_of(installation, start(installation)) == []
    assert logged(installation) == 0


def test_a_producer_from_before_runs_knew_their_version_is_told_as_older(
    installation: Installation, connection: Connection
) -> None:
    run = start(installation)
    connection.client.hdel(connection.keys.run(run), "version")
    with installation.process("worker"):
        (warning,) = warnings_of(installation, run)
    assert warning.startswith("this run was started by an older siteferry, and worker ")
    assert Runs(connection).snapshot(run).warnings == (warning,)


def test_two_workers_of_one_other_version_are_told_once_together(
    installation: Installation, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the test's own process, by turns; a third version is told as well."""
    for name, value in installation.environment.items():
        monkeypatch.setenv(name, value)
    workers = [make_worker(installation, redis_server, node) for node in ("one", "two", "three")]
    for worker, version in zip(workers, (OTHER, OTHER, "0.0.8"), strict=True):
        worker.versions = Versions(version)
        worker.broker = workers[0].broker
    run = start_inline(workers[0])
    for number in range(6):
        one_item = partial(next, iter((False, True)))
        work_off(workers[number % 3], run, until=one_item)
    warnings = workers[0].runs.snapshot(run).warnings
    for worker in workers:
        worker.pool.close_idle(everything=True)
        worker.connection.client.close()
    assert sorted(warning.partition(", and ")[2].partition(":")[0] for warning in warnings) == [
        f"worker one is {OTHER}",
        "worker three is 0.0.8",
    ]
