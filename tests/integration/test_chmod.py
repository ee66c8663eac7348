"""`chmod` of the website's file: what is sent and made gets it, or the report says once why not."""

from __future__ import annotations

from pathlib import Path

import pytest

from scheduler.end import end_run
from siteferry.run import RunState, Snapshot
from tests.conftest import Factory
from tests.inline import import_now, make_worker, start, work_off
from tests.installation import BASE_NAME, Installation, write_tree
from tests.private_redis import RedisServer
from tests.servers.base import FtpServer
from tests.servers.proxy import FtpProxy

FILES = {"index.html": "entry", "a/page.html": "a page", "a/b/c/style.css": "style"}
MODES = {
    "a": 0o711,
    "a/b": 0o711,
    "a/b/c": 0o711,
    "index.html": 0o640,
    "a/page.html": 0o640,
    "a/b/c/style.css": 0o640,
}
CHMOD = {"files": "640", "directories": "711"}


class Site:
    def __init__(self, folder: Path, redis: RedisServer, server: FtpServer) -> None:
        self.installation = Installation(folder, redis=redis.url)
        self.installation.configure(batch={"files": 1, "bytes": "1MiB"})
        self.server, self.redis = server, redis
        self.source = self.ask_for(CHMOD)
        self.live = server.root / "public_html"
        write_tree(self.source, FILES)

    def ask_for(self, chmod: dict[str, str] | None) -> Path:
        return self.installation.add_site(self.server, chmod=chmod)

    def run(self) -> Snapshot:
        done = import_now(self.installation, self.redis)
        assert done.state is RunState.DONE, done
        return done

    def cut_off(self, *, after_files: int) -> Snapshot:
        """A run that is cancelled when so many files have been sent."""
        worker = make_worker(self.installation, self.redis)
        run = start(worker)
        work_off(worker, run, lambda: worker.runs.snapshot(run).transferred >= after_files)
        assert end_run(worker.connection, run, RunState.CANCELLED, None)
        worker.pool.close_idle(everything=True)
        return worker.runs.snapshot(run)

    def modes(self) -> dict[str, int]:
        return {
            str(path.relative_to(self.live)): path.stat().st_mode & 0o7777
            for path in self.live.rglob("*")
            if BASE_NAME not in path.parts
        }


@pytest.fixture
def site(
    ftp_server: FtpServer,
    redis_server: RedisServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Site:
    monkeypatch.setenv("PASSWORD_OF_EXAMPLE", ftp_server.password)
    return Site(tmp_path, redis_server, ftp_server)


def test_files_and_directories_are_published_with_their_permissions(site: Site) -> None:
    done = site.run()
    if site.server.kind == "vsftpd":
        # An anonymous account, which may not: the site is published all the same.
        assert site.modes().keys() == MODES.keys()
        (warning,) = done.warnings
        assert warning.startswith("permissions (chmod) could not be set, such as those of ")
        assert warning.endswith(": 550 Permission denied.")
    else:
        assert site.modes() == MODES
        assert done.warnings == ()


def test_what_stands_already_keeps_its_permissions(site: Site) -> None:
    site.ask_for(None)
    before = site.run() and site.modes()
    site.ask_for(CHMOD)
    (site.source / "a/page.html").write_text("a page, changed")
    (site.source / "a/b/new").mkdir()
    site.run()
    if site.server.kind != "vsftpd":
        assert site.modes() == before | {"a/page.html": 0o640, "a/b/new": 0o711}


def test_what_was_staged_with_other_permissions_is_sent_again(site: Site) -> None:
    assert site.cut_off(after_files=2).transferred == 2
    site.ask_for({"files": "604", "directories": "711"})
    done = site.run()
    assert done.transferred == len(FILES)
    if site.server.kind != "vsftpd":
        files = {path: mode for path, mode in site.modes().items() if path in FILES}
        assert files == dict.fromkeys(FILES, 0o604)


def test_a_server_that_does_not_know_it_is_asked_by_one_run_alone(
    pyftpd: Factory, redis_server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many workers and runs warn; what they have learned is kept with the account's profile."""
    server = pyftpd(extra=["--without=SITE CHMOD"])
    monkeypatch.setenv("PASSWORD_OF_EXAMPLE", server.password)
    with FtpProxy.in_front_of(server) as proxy:
        site = Site(tmp_path, redis_server, server.through(proxy.port))
        (said,) = site.run().warnings
        assert "500 " in said
        assert [c for c in proxy.commands if c.startswith("SITE")] != []
        proxy.commands.clear()
        write_tree(site.source, {path: f"{text}, changed" for path, text in FILES.items()})
        (said,) = site.run().warnings
        assert said.endswith(": the server does not know SITE CHMOD")
        assert [c for c in proxy.commands if c.startswith("SITE")] == []
    server.remove()


def test_warnings_of_several_workers_are_one_beside_those_of_the_plan(
    pyftpd_server: FtpServer,
    redis_server: RedisServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PASSWORD_OF_EXAMPLE", pyftpd_server.password)
    site = Site(tmp_path, redis_server, pyftpd_server)
    workers = [make_worker(site.installation, redis_server, node) for node in ("one", "two")]
    run = start(workers[0])
    workers[0].runs.warn(run, ["of the plan"])
    for worker in workers:
        worker.runs.warn_once(run, "chmod", f"of {worker.node}")
    workers[1].runs.warn_once(run, "another", "of something else")
    snapshot = workers[0].runs.snapshot(run)
    assert snapshot.warnings == ("of the plan", "of something else", "of one")
    assert workers[0].runs.snapshot(run, details=False).warnings == ()


@pytest.mark.parametrize("number", range(1, 4))
def test_who_finishes_a_publish_that_was_cut_off_sets_the_permissions_of_its_directories(
    pyftpd_server: FtpServer,
    redis_server: RedisServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
) -> None:
    """By another machine, which knows the journal alone, and whose website asks for none."""
    monkeypatch.setenv("PASSWORD_OF_EXAMPLE", pyftpd_server.password)
    with FtpProxy.in_front_of(pyftpd_server) as proxy:
        site = Site(tmp_path, redis_server, pyftpd_server.through(proxy.port))
        proxy.cut_matching(lambda c: c.startswith("SITE CHMOD 711"), number=number)
        worker = make_worker(site.installation, redis_server)
        work_off(worker, start(worker), until=lambda: proxy.dead)
        assert proxy.dead
        worker.pool.close_idle(everything=True)
        assert 0o711 not in site.modes().values() or number > 1
        redis_server.flush()
        proxy.revive()
        site.ask_for(None)
        done = site.run()
    assert done.transferred == 0
    assert site.modes() == MODES
