"""What an import has read to send it is not read again by the next one to compare it.

Content that has just been written is not remembered (`content_hashes.SETTLED_SECONDS`). So the
source here is a package of Python's own library, which nobody has touched for long.
"""

from __future__ import annotations

import email
import os
import signal
import time
from contextlib import closing
from pathlib import Path

import pytest

from siteferry.run import RunState, Snapshot
from siteferry.tree.content_hashes import FileState
from siteferry.tree.hash_cache import HashCache
from siteferry.tree.hash_store import HashStore
from siteferry.tree.reading import hash_file
from tests.acceptance.test_two_workers import wait_for_workers
from tests.inline import make_worker, start, work_off
from tests.installation import Installation
from tests.private_redis import RedisServer
from tests.servers.base import FtpServer
from tests.servers.sessions import found_file

SOURCE = Path(email.__file__).parent
FILES = [path for path in SOURCE.rglob("*") if path.is_file() and "__pycache__" not in path.parts]


def add_library(installation: Installation, server: FtpServer) -> None:
    installation.configure(paths={"workspaces": str(SOURCE.parent)})
    installation.add_site(
        server,
        website={"name": "example", "workspace": SOURCE.name},
        sources=["."],
        exclude=["__pycache__/"],
    )


def assert_all_are_known(installation: Installation) -> None:
    """Each file with its hash: from what the cache's folder holds, whoever wrote it."""
    expected = {
        FileState.of(path.stat(), time.time_ns()).key: bytes.fromhex(
            hash_file(found_file(path)).sha256
        )
        for path in FILES
    }
    assert len(expected) == len(FILES) > 20
    with closing(HashStore(installation.folder / "state/hashes", time.time_ns)) as store:
        assert store.find(list(expected)) == expected


def import_with_cache(installation: Installation, redis: RedisServer) -> Snapshot:
    worker = make_worker(installation, redis)
    with HashCache.open(installation.folder / "state/hashes") as worker.hashes:
        done = work_off(worker, start(worker))
    worker.pool.close_idle(everything=True)
    worker.connection.client.close()
    assert done.state is RunState.DONE, done
    return done


def test_a_second_import_reads_no_file(
    pyftpd_server: FtpServer,
    redis_server: RedisServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PASSWORD_OF_EXAMPLE", pyftpd_server.password)
    installation = Installation(tmp_path, redis=redis_server.url)
    add_library(installation, pyftpd_server)
    assert import_with_cache(installation, redis_server).transferred == len(FILES)
    assert_all_are_known(installation)
    # Nothing of this process can read a source any more.
    monkeypatch.delattr(os, "read")
    second = import_with_cache(installation, redis_server)
    assert (second.transferred, second.failed, second.skipped) == (0, 0, len(FILES))


def test_a_commands_own_worker_writes_the_hashes_before_it_ends(
    pyftpd_server: FtpServer, tmp_path: Path
) -> None:
    """On its fast way out, too."""
    installation = Installation(tmp_path)
    add_library(installation, pyftpd_server)
    done = installation.run("import", "example", "--json", "--quiet")
    assert done.code == 0, done.output
    assert_all_are_known(installation)


def test_a_worker_writes_the_hashes_when_it_is_stopped(
    pyftpd_server: FtpServer, redis_server: RedisServer, tmp_path: Path
) -> None:
    installation = Installation(tmp_path, redis=redis_server.url)
    add_library(installation, pyftpd_server)
    with installation.process("worker") as worker:
        wait_for_workers(redis_server, 1)
        done = installation.run("import", "example", "--json", "--quiet")
        assert done.code == 0, done.output
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(30) == 0
    assert_all_are_known(installation)
