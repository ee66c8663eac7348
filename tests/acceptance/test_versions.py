"""Producers and workers of different versions: the run says so, and goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from siteferry import __version__
from siteferry.ledger.connection import Connection
from siteferry.ledger.runs import Runs
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
