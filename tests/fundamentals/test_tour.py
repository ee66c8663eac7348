"""A tour of siteferry in the order of one import: each test shows one idea, and reads as a page."""

from __future__ import annotations

from pathlib import Path

import pytest

from siteferry.run import RunState, Snapshot
from tests.inline import import_now, make_worker, start, work_off
from tests.installation import Installation, left_over, tree_of, write_tree
from tests.private_redis import RedisServer
from tests.servers.base import FtpServer


class Tour:
    """A website on a real server, and what happens to it."""

    def __init__(self, server: FtpServer, redis: RedisServer, folder: Path) -> None:
        self.redis = redis
        self.installation = Installation(folder, redis=redis.url)
        self.source = self.installation.add_site(server)
        self.live = server.root / "public_html"

    def publish(self) -> Snapshot:
        return import_now(self.installation, self.redis)


@pytest.fixture
def tour(
    pyftpd_server: FtpServer,
    redis_server: RedisServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Tour:
    made = Tour(pyftpd_server, redis_server, tmp_path)
    for name, value in made.installation.environment.items():
        monkeypatch.setenv(name, value)
    write_tree(made.source, {"index.html": "1", "css/style.css": "2", "empty/": ""})
    return made


def test_an_import_makes_the_live_site_the_same_as_the_source(tour: Tour) -> None:
    run = tour.publish()
    assert run.state is RunState.DONE
    assert tree_of(tour.live) == tree_of(tour.source)


def test_what_has_not_changed_is_not_sent_again(tour: Tour) -> None:
    tour.publish()
    (tour.source / "index.html").write_text("changed")
    run = tour.publish()
    assert (run.transferred, run.skipped) == (1, 1)


def test_the_manifest_on_the_server_is_all_that_the_next_import_needs(tour: Tour) -> None:
    tour.publish()
    tour.redis.flush()
    run = tour.publish()
    assert (run.transferred, run.skipped) == (0, 2)


def test_nothing_is_live_before_everything_has_arrived(tour: Tour) -> None:
    worker = make_worker(tour.installation, tour.redis)
    run = start(worker)
    work_off(worker, run, until=lambda: worker.runs.state(run) is RunState.PUBLISHING)
    assert tree_of(tour.live) == {}
    work_off(worker, run)
    worker.pool.close_idle(everything=True)
    worker.connection.client.close()
    assert tree_of(tour.live) == tree_of(tour.source)


def test_one_file_that_fails_holds_the_whole_publish(tour: Tour) -> None:
    tour.publish()
    before = tree_of(tour.live)
    write_tree(tour.source, {"index.html": "new", "bad\nname.html": "no FTP server takes this"})
    run = tour.publish()
    assert run.state is RunState.INCOMPLETE
    assert run.failed == 1
    assert tree_of(tour.live) == before


def test_nothing_that_the_user_did_not_ask_for_is_deleted(tour: Tour) -> None:
    tour.publish()
    write_tree(tour.live, {"uploads/visitor.jpg": "not ours"})
    (tour.source / "css/style.css").unlink()
    tour.publish()
    assert (tour.live / "uploads/visitor.jpg").exists()
    assert (tour.live / "css/style.css").exists()


def test_after_a_run_only_the_manifest_is_left_of_siteferry(tour: Tour) -> None:
    tour.publish()
    assert left_over(tour.live) == []
    assert (tour.live / ".htsiteferry/.htmanifest").exists()


def test_a_worker_that_dies_loses_nothing_and_counts_nothing_twice(tour: Tour) -> None:
    write_tree(tour.source, {f"page-{n}.html": str(n) for n in range(150)})
    first = make_worker(tour.installation, tour.redis, "first")
    run = start(first)
    work_off(first, run, until=lambda: first.runs.snapshot(run).transferred >= 60)
    first.pool.close_idle(everything=True)
    first.connection.client.close()
    # It is gone; what it had been sent is in nobody's hands until the sweeper gives it out again.
    second = make_worker(tour.installation, tour.redis, "second")
    for member in list(first.broker.members):  # type: ignore[attr-defined]
        second.broker.send([member])
    snapshot = work_off(second, run)
    second.pool.close_idle(everything=True)
    second.connection.client.close()
    assert snapshot.transferred == 152
    assert sum(snapshot.workers.values()) == 152
    assert tree_of(tour.live) == tree_of(tour.source)
