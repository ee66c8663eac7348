"""Deletes keep off what a run could not see, was not about, or reached by a detour."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from siteferry.run import RunState, Snapshot
from tests.inline import import_now
from tests.installation import Installation, tree_of, write_tree
from tests.private_redis import RedisServer
from tests.servers.base import FtpServer

FILES = {
    "index.html": "entry",
    "blog/one.html": "one",
    "blog/two.html": "two",
    "assets/style.css": "style",
}


class Site:
    """A website on its server, beside what else the account has there."""

    def __init__(
        self, folder: Path, redis: RedisServer, server: FtpServer, **website: object
    ) -> None:
        self.installation = Installation(folder, redis=redis.url)
        self.source = self.installation.add_site(server, **website)  # type: ignore[arg-type]
        self.live = server.root / "public_html"
        self.redis = redis
        self.server = server

    def publish(self, files: dict[str, str] = FILES) -> None:
        write_tree(self.source, files)
        assert self.run().state is RunState.DONE

    def run(self, **options: object) -> Snapshot:
        return import_now(self.installation, self.redis, **options)  # type: ignore[arg-type]

    def own(self, *paths: Path) -> None:
        """Give what the test has put on the server to the account."""
        owner = self.server.root.stat()
        for path in paths:
            for one in (path, *path.rglob("*")):
                os.chown(one, owner.st_uid, owner.st_gid, follow_symlinks=False)


@pytest.fixture
def site(
    ftp_server: FtpServer,
    redis_server: RedisServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Site:
    monkeypatch.setenv("PASSWORD_OF_EXAMPLE", ftp_server.password)
    return Site(tmp_path, redis_server, ftp_server)


def hide(folder: Path) -> None:
    """Make a directory of the source one that cannot be looked into, even by root."""
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    folder.symlink_to("/etc")


@pytest.mark.parametrize("only", ["blog/", "*.html"])
@pytest.mark.parametrize("delete", ["published", "all"])
def test_only_does_not_make_a_directory_that_cannot_be_read_an_empty_one(
    site: Site, only: str, delete: str
) -> None:
    site.publish()
    hide(site.source / "blog")
    done = site.run(only=(only,), delete=delete, on_failure="publish", max_delete="100%")
    assert done.deleted == 0, done
    assert (site.live / "blog/one.html").exists()


def test_a_directory_that_is_named_by_only_and_cannot_be_read_is_a_failure(site: Site) -> None:
    site.publish()
    hide(site.source / "blog")
    assert site.run(only=("blog/",)).failed == 1


@pytest.mark.parametrize("delete", ["published", "all"])
def test_a_directory_whose_name_messages_escape_is_kept_as_well(site: Site, delete: str) -> None:
    """A no-break space, as macOS and word processors put it into names, is not printable."""
    name = "photos\u00a02024"
    site.publish(FILES | {f"{name}/a.jpg": "a"})
    hide(site.source / name)
    done = site.run(delete=delete, on_failure="publish", max_delete="100%")
    assert done.failed == 1
    assert done.deleted == 0, done
    assert (site.live / name / "a.jpg").exists()


def test_only_leaves_empty_directories_elsewhere_alone(site: Site) -> None:
    site.publish()
    for folder in (site.live / "logs", site.live / "blog/drafts"):
        folder.mkdir()
        site.own(folder)
    (site.source / "cache").mkdir()
    assert site.run().state is RunState.DONE
    done = site.run(only=("blog/",), delete="all", max_delete="100%")
    assert done.state is RunState.DONE, done
    assert (site.live / "logs").is_dir()
    assert (site.live / "cache").is_dir()
    assert not (site.live / "blog/drafts").exists()
    assert site.run().dirs_created == 0, "the manifest still knows cache/"


@pytest.mark.parametrize("how", [{"delete": "all"}, {"purge": True}, {"purge_first": True}])
def test_what_a_link_on_the_server_leads_to_is_not_deleted_through_it(
    site: Site, how: dict[str, object]
) -> None:
    """pyftpdlib lists a link to a directory as that directory."""
    site.publish()
    shared = site.server.root / "shared"
    write_tree(shared, {"deep/precious.txt": "not the website's"})
    (site.live / "link").symlink_to("../shared")
    (site.live / "latest").symlink_to("blog")
    (site.live / "round").symlink_to(".")
    site.own(shared, site.live / "link", site.live / "latest", site.live / "round")
    done = site.run(max_delete="100%", **how)
    assert done.state is RunState.DONE, (done.error, done.failures)
    assert (shared / "deep/precious.txt").exists()
    assert (site.live / "blog/one.html").exists()
    assert site.run(compare="listing").transferred == 0


@pytest.mark.parametrize("how", [{"delete": "all"}, {"purge_first": True}])
def test_a_name_on_the_server_that_is_no_utf_8_does_not_stop_the_run(
    site: Site, how: dict[str, object]
) -> None:
    site.publish()
    try:
        Path(os.fsdecode(os.fsencode(site.live) + b"/caf\xe9.txt")).write_text("latin-1")
    except OSError:
        pytest.skip("this file system holds only names in UTF-8")
    write_tree(site.live, {"visitor.txt": "x"})
    site.own(site.live)
    done = site.run(max_delete="100%", **how)
    assert done.state is RunState.DONE, done.error
    assert not (site.live / "visitor.txt").exists()
    assert tree_of(site.source).items() <= tree_of(site.live).items()


def test_a_name_that_the_server_cannot_hold_is_not_sent_under_another(
    site: Site, request: pytest.FixtureRequest
) -> None:
    """Pure-FTPd writes `_` in place of a control character, and says that all is well."""
    write_tree(site.source, FILES | {"a\tb.html": "tab"})
    done = site.run(on_failure="publish")
    assert not (site.live / "a_b.html").exists()
    if "pureftpd" in request.node.name:
        assert (done.failed, done.transferred) == (1, len(FILES))
    else:
        assert done.state is RunState.DONE
