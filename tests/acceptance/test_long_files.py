"""Long files through the whole of it: they take turns, and are gone on with after a crash."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from siteferry.run import RunState
from tests.acceptance.test_two_workers import wait_for_workers
from tests.inline import make_worker, start, work_off
from tests.installation import Installation, left_over, tree_of, write_tree
from tests.private_redis import RedisServer
from tests.servers.base import FtpServer

MIB = 1024 * 1024


def long_file(mebibytes: int) -> bytes:
    return random.Random(mebibytes).randbytes(mebibytes * MIB)


def test_a_long_file_goes_in_turns_and_counts_once(
    ftp_server: FtpServer,
    redis_server: RedisServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each task has its time after one chunk: a file of 12 MiB takes as many attempts as chunks."""
    installation = Installation(tmp_path, redis=redis_server.url)
    installation.configure(worker={"task_seconds": 0.000001})
    source = installation.add_site(ftp_server, ftp={"max_connections": 1})
    write_tree(source, {"film.mp4": long_file(12), "index.html": "<p>", "page.html": "<p>p"})
    for name, value in installation.environment.items():
        monkeypatch.setenv(name, value)
    worker = make_worker(installation, redis_server)
    try:
        run = start(worker)
        snapshot = work_off(worker, run)
        attempts = worker.connection.client.hgetall(worker.connection.keys.attempts(run))
    finally:
        worker.pool.close_idle(everything=True)
        worker.connection.client.close()
    assert snapshot.state is RunState.DONE
    assert (snapshot.transferred, snapshot.failed) == (3, 0)
    assert snapshot.transferred_bytes == 12 * MIB + 3 + 4
    assert max(map(int, attempts.values())) == 12
    assert tree_of(ftp_server.root / "public_html") == tree_of(source)
    assert left_over(ftp_server.root / "public_html") == []


@pytest.mark.slow
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_a_long_file_whose_worker_is_killed_is_gone_on_with_by_another(
    proftpd: Callable[..., FtpServer], redis_server: RedisServer, tmp_path: Path, tls: bool
) -> None:
    """At 20 MiB a second, killed when some of it is known to stand on the server."""
    server = proftpd(tls=tls)
    installation = Installation(tmp_path, redis=redis_server.url)
    installation.configure(log={"format": "json"})
    source = installation.add_site(server, ftp={"max_connections": 1}, bandwidth="20MiB")
    write_tree(source, {"film.mp4": long_file(80)})
    client = redis_server.client()
    with ExitStack() as stack:
        first = stack.enter_context(installation.process("worker"))
        wait_for_workers(redis_server, 1)
        run = installation.run("import", "example", "--detach").stdout.strip()
        kept = _wait_for_part(client, f"siteferry:run:{run}:parts")
        first.kill()
        stack.enter_context(installation.process("worker"))
        result = installation.run("watch", run, "--json")
    assert result.code == 0, result.output
    assert result.json["stats"] | {"dirs_created": 0} == {
        "uploaded": 1, "adopted": 0, "skipped": 0, "failed": 0, "deleted": 0, "dirs_created": 0,
        "bytes": 80 * MIB,
    }  # fmt: skip
    assert tree_of(server.root / "public_html") == tree_of(source)
    assert left_over(server.root / "public_html") == []
    resumed = [json.loads(line) for line in _log(tmp_path) if '"resumed"' in line]
    assert [event["at_byte"] >= kept for event in resumed] == [True]
    client.close()
    server.remove()


def _wait_for_part(client: object, key: str) -> int:
    """Bytes of the file that a worker has told of; bounded."""
    deadline = time.monotonic() + 30
    while not (text := client.hget(key, "film.mp4")):  # type: ignore[attr-defined]
        assert time.monotonic() < deadline, "nothing was told of the file"
        time.sleep(0.05)
    return int(json.loads(text)[2])


def _log(folder: Path) -> list[str]:
    return (folder / "worker.log").read_text().splitlines()
