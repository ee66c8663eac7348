"""What Flower tells of siteferry's tasks, over its API and on its pages: no password."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError

import pytest

from tests.acceptance.test_two_workers import wait_for_workers
from tests.installation import REPOSITORY, Installation, write_tree
from tests.private_redis import RedisServer
from tests.security.test_marked_password import WRONG, assert_unmarked
from tests.servers.base import FtpServer
from tests.servers.ports import HOST, PortBlock

PAGES = ["/", "/workers", "/tasks", "/broker", "/metrics"]


class Flower:
    """A real one, open to everybody: it is asked for all that it knows."""

    def __init__(self, port: int) -> None:
        self._root = f"http://{HOST}:{port}"

    def get(self, path: str) -> str:
        with urllib.request.urlopen(self._root + path, timeout=20) as reply:  # noqa: S310  # ours
            return str(reply.read().decode())


@contextmanager
def running_flower(
    url: str, folder: Path, *, username: str = "", password: str = ""
) -> Iterator[Flower]:
    ports = PortBlock()
    log = (folder / "flower.log").open("w")
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "celery", "-A", "tests.security.flower_app", "flower"),
            *(f"--address={HOST}", f"--port={ports.control}"),
        ],
        cwd=REPOSITORY,
        env={
            "PYTHONPATH": str(REPOSITORY),
            "FLOWER_TEST_REDIS": url,
            "FLOWER_TEST_USERNAME": username,
            "FLOWER_TEST_PASSWORD": password,
            "FLOWER_UNAUTHENTICATED_API": "true",
            "HOME": str(folder),
        },
        stdout=log,
        stderr=log,
    )
    flower = Flower(ports.control)
    try:
        wait_until(lambda: answers(flower), "Flower does not answer")
        yield flower
    finally:
        process.kill()
        process.wait()
        log.close()
        ports.release()


def answers(flower: Flower) -> bool:
    try:
        return flower.get("/api/workers") is not None
    except (URLError, ConnectionError):
        return False


def wait_until(condition: object, what: str) -> None:
    deadline = time.monotonic() + 30
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


@pytest.mark.slow
def test_flowers_api_and_pages_tell_the_tasks_and_no_password(
    pyftpd_server: FtpServer, redis_server: RedisServer, tmp_path: Path
) -> None:
    installation = Installation(tmp_path / "installation", redis=redis_server.url)
    write_tree(
        installation.add_site(pyftpd_server, "good", remote="good"),
        {f"page-{n}.html": f"<p>{n}" for n in range(30)},
    )
    # Another account, or it would use the session that is logged in already.
    stranger = installation.add_site(
        pyftpd_server, "wrong", remote="wrong", password=WRONG, ftp={"username": "stranger"}
    )
    write_tree(stranger, {"a": "a"})
    with (
        running_flower(redis_server.url, tmp_path) as flower,
        installation.process("worker", "--events"),
    ):
        wait_for_workers(redis_server, 1)
        wait_until(lambda: "siteferry@" in flower.get("/workers?json=1"), "Flower sees no worker")
        good, wrong = installation.run("import", "good"), installation.run("import", "wrong")
        assert (good.code, wrong.code) == (0, 3), good.output + wrong.output
        wait_until(
            lambda: flower.get("/api/tasks").count("SUCCESS") >= 4, "Flower does not see the tasks"
        )
        tasks = json.loads(flower.get("/api/tasks"))
        shown = [flower.get(path) for path in PAGES]
        shown += [flower.get("/api/workers?refresh=1"), flower.get("/api/tasks")]
        workers = json.loads(flower.get("/api/workers?refresh=1"))
        assert len(workers) == 1
        shown += [flower.get(f"/worker/{worker}") for worker in workers]
        for task in tasks:
            shown += [flower.get(f"/task/{task}"), flower.get(f"/api/task/info/{task}")]
    kinds = ("plan", "directory", "files", "publish")
    assert {task["name"] for task in tasks.values()} == {
        "siteferry.plan[wrong]",
        *(f"siteferry.{kind}[good]" for kind in kinds),
    }
    text = "\n".join(shown)
    assert "files-0-0" in text
    assert_unmarked(text.encode(), "what Flower tells")
    assert_unmarked((tmp_path / "flower.log").read_bytes(), "Flower's log")
