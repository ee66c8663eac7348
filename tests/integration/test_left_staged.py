"""What an incomplete, failed or cancelled run has sent is used by the next one, not sent again."""

from __future__ import annotations

from pathlib import Path

import pytest

from scheduler.end import end_run
from siteferry.ledger.connection import Connection
from siteferry.run import RunState, Snapshot
from tests.inline import import_now, make_worker, start, work_off
from tests.installation import Installation, left_over, tree_of, write_tree
from tests.private_redis import RedisServer
from tests.servers.base import FtpServer

FILES = {f"page-{n}.html": f"page {n}" for n in range(30)}


class Site:
    def __init__(self, folder: Path, redis: RedisServer, server: FtpServer) -> None:
        self.installation = Installation(folder, redis=redis.url)
        self.installation.configure(batch={"files": 10, "bytes": "1MiB"})
        self.source = self.installation.add_site(server)
        self.live = server.root / "public_html"
        self.redis = redis
        self.sent: set[str] = set()
        """By the last run that was cut off."""
        write_tree(self.source, FILES)

    def run(self, **options: object) -> Snapshot:
        return import_now(self.installation, self.redis, **options)  # type: ignore[arg-type]

    def cut_off(self, *, after_files: int) -> Snapshot:
        """A run that is cancelled when so many files have been sent."""
        worker = make_worker(self.installation, self.redis)
        run = start(worker)
        work_off(
            worker, run, lambda: worker.runs.snapshot(run, details=False).transferred >= after_files
        )
        assert end_run(worker.connection, run, RunState.CANCELLED, None)
        worker.pool.close_idle(everything=True)
        self.sent = {path for path, _ in worker.runs.outcomes(run)}
        return worker.runs.snapshot(run)


@pytest.fixture
def site(
    ftp_server: FtpServer,
    redis_server: RedisServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Site:
    monkeypatch.setenv("PASSWORD_OF_EXAMPLE", ftp_server.password)
    return Site(tmp_path, redis_server, ftp_server)


def test_a_cancelled_run_leaves_the_site_alone_and_the_next_one_sends_the_rest(site: Site) -> None:
    cancelled = site.cut_off(after_files=10)
    assert cancelled.state is RunState.CANCELLED
    assert tree_of(site.live) == {}
    done = site.run()
    assert (done.state, done.adopted) == (RunState.DONE, cancelled.transferred)
    assert done.transferred == len(FILES)
    assert sum(done.workers.values()) == len(FILES)
    assert tree_of(site.live) == tree_of(site.source)
    assert left_over(site.live) == []


def test_only_what_is_still_the_same_is_used_and_counted(site: Site) -> None:
    site.cut_off(after_files=10)
    assert len(site.sent) >= 10
    for page in sorted(site.sent)[:4]:
        (site.source / page).write_text(FILES[page][::-1])  # the size stays
    done = site.run()
    assert (done.state, done.transferred) == (RunState.DONE, len(FILES))
    assert done.adopted == len(site.sent) - 4
    assert tree_of(site.live) == tree_of(site.source)


def test_what_the_server_has_lost_of_it_is_sent_again(site: Site) -> None:
    cancelled = site.cut_off(after_files=10)
    staged = sorted((site.live / ".htsiteferry" / cancelled.run).iterdir())
    staged[0].unlink()
    staged[1].write_bytes(b"cut")
    done = site.run()
    assert (done.state, done.adopted) == (RunState.DONE, cancelled.transferred - 2)
    assert tree_of(site.live) == tree_of(site.source)


def test_it_is_handed_on_from_run_to_run(site: Site) -> None:
    first = site.cut_off(after_files=10)
    second = site.cut_off(after_files=20)
    assert second.transferred >= 20
    done = site.run()
    assert (done.state, done.adopted) == (RunState.DONE, second.transferred)
    assert first.transferred < second.transferred
    assert tree_of(site.live) == tree_of(site.source)
    assert left_over(site.live) == []


@pytest.mark.parametrize("renamed", [False, True])
def test_a_plan_that_was_cut_off_while_it_took_over_begins_again(
    site: Site, renamed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker dies before, or right after, the old staging directory gets its new name."""
    cancelled = site.cut_off(after_files=10)

    def dies(worker: object, session: object, left: str) -> None:
        if renamed:
            rename(worker, session, left)
        raise ConnectionError("killed here")

    import scheduler.adoption as adoption

    rename = adoption._rename
    worker = make_worker(site.installation, site.redis)
    with monkeypatch.context() as patch:
        patch.setattr(adoption, "_rename", dies)
        run = start(worker)
        work_off(worker, run, lambda: _plan_attempts(worker.connection, run) > 1)
    done = work_off(worker, run)
    worker.pool.close_idle(everything=True)
    assert (done.state, done.adopted) == (RunState.DONE, cancelled.transferred)
    assert tree_of(site.live) == tree_of(site.source)
    assert left_over(site.live) == []


def _plan_attempts(connection: Connection, run: str) -> int:
    return int(connection.client.hget(connection.keys.attempts(run), "plan") or 0)


def test_a_file_that_failed_holds_the_publish_and_the_next_run_sends_it_alone(site: Site) -> None:
    (site.source / "bad.html").symlink_to("/etc/hostname")
    held = site.run()
    assert (held.state, held.failed) == (RunState.INCOMPLETE, 1)
    assert tree_of(site.live) == {}
    (site.source / "bad.html").unlink()
    (site.source / "bad.html").write_text("good now")
    done = site.run()
    assert (done.state, done.adopted, done.transferred) == (RunState.DONE, 30, 31)
    assert tree_of(site.live) == tree_of(site.source)
