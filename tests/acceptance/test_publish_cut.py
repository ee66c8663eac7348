"""An import cut at each of its commands: the live site is never half of anything, and the next
import finishes the publish from the server alone."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from siteferry.run import RunState
from tests.inline import import_now, make_worker, start, work_off
from tests.installation import BASE_NAME, Installation, left_over, tree_of, write_tree
from tests.private_redis import RedisServer
from tests.servers.base import FtpServer
from tests.servers.proxy import FtpProxy

OLD = {
    "index.html": "old index",
    "page.html": "old page",
    "assets/style.css": "old style",
    "kept.txt": "the same in both",
    "becomes-directory": "a file",
    "becomes-file/inner.txt": "in a directory",
    "gone.html": "deleted with the new version",
    "old/gone/deep.html": "and its directories with it",
}
NEW = {
    "index.html": "new index, longer",
    "page.html": "new page",
    "assets/style.css": "new style sheet",
    "assets/new/logo.svg": "<svg/>",
    "kept.txt": "the same in both",
    "becomes-directory/page.html": "a page",
    "becomes-file": "a file now",
    "empty/": "",
}
FOREIGN = {"uploads/visitor.jpg": "not siteferry's"}

When = Literal["before", "after"]


@dataclass
class Site:
    """A website behind a proxy, with its old version live and its new version in the workspace."""

    installation: Installation
    proxy: FtpProxy
    live: Path
    source: Path
    published: Path
    """A copy of the server's folder with the old version published, to begin each step with."""

    def reset(self, redis: RedisServer) -> None:
        redis.flush()
        self.proxy.revive()
        shutil.rmtree(self.live)
        shutil.copytree(self.published, self.live, symlinks=True)
        _own_as(self.published.parent, self.live)


def _own_as(pattern: Path, folder: Path) -> None:
    owner = pattern.stat()
    for path in (folder, *folder.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid)


@pytest.fixture
def site(
    pyftpd_server: FtpServer,
    redis_server: RedisServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Site]:
    with FtpProxy.in_front_of(pyftpd_server) as proxy:
        installation = Installation(tmp_path, redis=redis_server.url)
        source = installation.add_site(
            pyftpd_server.through(proxy.port),
            ftp={"max_connections": 1},
            delete={"mode": "published", "max": "100%"},
        )
        for name, value in installation.environment.items():
            monkeypatch.setenv(name, value)
        live = pyftpd_server.root / "public_html"
        write_tree(source, OLD)
        assert import_now(installation, redis_server).state is RunState.DONE
        write_tree(live, FOREIGN)
        _own_as(pyftpd_server.root, live)
        published = pyftpd_server.root / "published"
        shutil.copytree(live, published)
        shutil.rmtree(source)
        write_tree(source, NEW)
        yield Site(installation, proxy, live, source, published)


def _cut_import(site: Site, redis: RedisServer, number: int, when: When) -> None:
    """An import whose worker dies with the connection, at the `number`-th command."""
    site.proxy.cut_at(number, when)
    runtime = make_worker(site.installation, redis)
    work_off(runtime, start(runtime), until=lambda: site.proxy.dead)
    runtime.pool.close_idle(everything=True)
    # Nobody waits for the reply to the last command, QUIT.
    assert site.proxy.wait_until_dead()
    runtime.connection.client.close()


def _commands_of_an_import(site: Site, redis: RedisServer) -> list[str]:
    site.reset(redis)
    begin = len(site.proxy.commands)
    assert import_now(site.installation, redis).state is RunState.DONE
    return site.proxy.commands[begin:]


def _after(tree: dict[str, str], foreign: dict[str, str]) -> dict[str, str]:
    return tree | foreign


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("when", ["before", "after"])
def test_an_import_cut_at_any_command_leaves_the_old_site_or_is_finished_by_the_next_one(
    site: Site, redis_server: RedisServer, when: When
) -> None:
    commands = _commands_of_an_import(site, redis_server)
    stands = next(
        n for n, c in enumerate(commands) if c.startswith("RNTO") and c.endswith("/.htjournal")
    )
    old = tree_of(site.published)
    new = tree_of(site.source) | {
        path: digest for path, digest in old.items() if path.startswith("uploads")
    }
    finished_publishes = 0
    for number in range(1, len(commands) + 1):
        site.reset(redis_server)
        base = len(site.proxy.commands)
        _cut_import(site, redis_server, base + number, when)
        journal = (site.live / BASE_NAME / ".htjournal").exists()
        if number <= stands:
            assert tree_of(site.live) == old, f"touched at {commands[number - 1]}"
            assert not journal
        # Redis has lost everything, and the source has gone on meanwhile or not: the journal alone
        # must do.
        redis_server.flush()
        site.proxy.revive()
        last = import_now(site.installation, redis_server)
        told = f"cut {when} {commands[number - 1]!r} (command {number})"
        assert last.state is RunState.DONE, f"{told}: {last.error} {last.failures}"
        assert last.failed == 0, told
        assert tree_of(site.live) == new, told
        assert _left_over(site.live, published=last.transferred > 0) == [], told
        finished_publishes += any("cut off" in text for text in last.warnings)
        if journal:
            assert last.skipped == len([p for p in NEW if not p.endswith("/")]), told
            assert last.transferred == 0, f"{told}: the journal had done it"
    assert finished_publishes > 10


def _left_over(live: Path, published: bool) -> list[str]:
    """What is left over, apart from the staging of runs that an empty ledger cannot know to be
    dead: those wait for a day, for another machine's ledger may know them. The lock of the run that
    was cut waits for the next one that publishes something."""
    stays = ("20",) if published else ("20", ".htlock/")
    return [name for name in left_over(live) if not name.startswith(stays)]
