"""What a run deletes: nothing unasked, never more than the limit, always by way of the trash."""

from __future__ import annotations

from pathlib import Path

import pytest

from siteferry.run import RunState, Snapshot
from tests.inline import import_now
from tests.installation import BASE_NAME, Installation, put_on_server, tree_of, write_tree
from tests.private_redis import RedisServer
from tests.servers.base import FtpServer

FILES = {f"page-{n}.html": f"page {n}" for n in range(20)} | {
    "blog/one.html": "one",
    "blog/deep/two.html": "two",
    "uploads/.keep": "",
}


class Site:
    """A website that is published once, and what there is on both sides."""

    def __init__(self, folder: Path, redis: RedisServer, server: FtpServer, **website: object):
        self.installation = Installation(folder, redis=redis.url)
        self.source = self.installation.add_site(server, **website)  # type: ignore[arg-type]
        self.server = server
        self.live = server.root / "public_html"
        self.redis = redis
        write_tree(self.source, FILES)
        assert self.run().state is RunState.DONE

    def run(self, **options: object) -> Snapshot:
        return import_now(self.installation, self.redis, **options)  # type: ignore[arg-type]

    def remove(self, *paths: str) -> None:
        for path in paths:
            (self.source / path).unlink()

    def put(self, files: dict[str, str]) -> None:
        """Put files on the server that siteferry does not know of, as the account's own."""
        put_on_server(self.server, files)

    def there(self, path: str) -> bool:
        return (self.live / path).exists()


@pytest.fixture(autouse=True)
def _passwords(monkeypatch: pytest.MonkeyPatch, ftp_server: FtpServer) -> None:
    monkeypatch.setenv("PASSWORD_OF_EXAMPLE", ftp_server.password)


@pytest.fixture
def site(ftp_server: FtpServer, redis_server: RedisServer, tmp_path: Path) -> Site:
    return Site(tmp_path, redis_server, ftp_server, protect=["uploads/"])


def test_without_being_asked_nothing_is_deleted(site: Site) -> None:
    site.remove("page-1.html", "blog/one.html")
    done = site.run()
    assert (done.state, done.deleted) == (RunState.DONE, 0)
    assert site.there("page-1.html")
    assert site.there("blog/one.html")


def test_delete_removes_what_was_published_and_is_gone_and_nothing_else(site: Site) -> None:
    site.put({"visitor.jpg": "not ours", "blog/deep/comment.txt": "not ours"})
    site.remove("page-1.html", "blog/deep/two.html")
    (site.source / "blog/deep").rmdir()
    done = site.run(delete="published")
    assert (done.state, done.deleted, done.transferred) == (RunState.DONE, 2, 0), done
    assert not site.there("page-1.html")
    assert not site.there("blog/deep/two.html")
    assert site.there("visitor.jpg")
    assert site.there("blog/deep/comment.txt"), "a directory that holds something else stays"
    again = site.run(delete="published")
    assert (again.deleted, again.skipped) == (0, len(FILES) - 3)  # uploads/ is protected


def test_a_directory_that_is_gone_from_the_source_goes_with_its_files(site: Site) -> None:
    site.remove("blog/deep/two.html")
    (site.source / "blog/deep").rmdir()
    assert site.run(delete="published").deleted == 1
    assert not site.there("blog/deep")
    assert site.there("blog")


def test_delete_all_removes_what_others_have_put_there_but_not_what_is_protected_or_excluded(
    site: Site,
) -> None:
    site.put(
        {
            "visitor.jpg": "foreign",
            "foreign/deep/x.txt": "foreign",
            "uploads/kept.jpg": "protected",
            "cache/kept.tmp": "excluded",
        }
    )
    done = site.run(delete="all", exclude=("cache/",), max_delete="100%")
    assert (done.state, done.deleted) == (RunState.DONE, 2), done
    assert not site.there("visitor.jpg")
    assert not site.there("foreign")
    assert site.there("uploads/kept.jpg")
    assert site.there("cache/kept.tmp")
    assert site.there(f"{BASE_NAME}/.htmanifest")


def test_more_than_the_limit_is_not_deleted_and_nothing_else_is_done(site: Site) -> None:
    site.remove(*(f"page-{n}.html" for n in range(4)))
    (site.source / "page-9.html").write_text("changed")
    before = tree_of(site.live)
    refused = site.run(delete="published")
    assert refused.state is RunState.FAILED
    assert refused.error is not None
    assert (refused.error.kind, refused.error.exit_code) == ("SafetyLimit", 6)
    assert "4 of 22 files" in refused.error.message
    assert "--max-delete 4" in refused.error.next_step
    assert tree_of(site.live) == before
    lifted = site.run(delete="published", max_delete="4")
    assert (lifted.state, lifted.deleted, lifted.transferred) == (RunState.DONE, 4, 1)


def test_the_limit_holds_for_what_only_the_server_has_as_well(site: Site) -> None:
    site.put({f"foreign/{n}.txt": "x" for n in range(10)})
    before = tree_of(site.live)
    refused = site.run(delete="all")
    assert refused.error is not None
    assert refused.error.kind == "SafetyLimit"
    assert tree_of(site.live) == before


def test_a_source_that_cannot_be_read_whole_deletes_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FluentFTP #1580: a listing that failed must not look like an empty directory."""
    (site.source / "blog").chmod(0)
    if _may_read_anyway(site.source / "blog"):
        (site.source / "blog").chmod(0o755)
        # root reads it anyway; a link out of the source cannot be read by anybody.
        site.remove("blog/one.html", "blog/deep/two.html")
        (site.source / "blog/deep").rmdir()
        (site.source / "blog").rmdir()
        (site.source / "blog").symlink_to("/etc")
    done = site.run(delete="published", on_failure="publish", max_delete="100%")
    assert done.failed > 0
    assert done.deleted == 0
    assert site.there("blog/one.html")


def _may_read_anyway(folder: Path) -> bool:
    try:
        next(folder.iterdir(), None)
    except PermissionError:
        return False
    return True


def test_only_deletes_within_what_it_names(site: Site) -> None:
    site.remove("page-1.html", "blog/one.html")
    (site.source / "page-2.html").write_text("changed, but not asked for")
    done = site.run(delete="published", only=("blog/",), max_delete="100%")
    assert (done.deleted, done.transferred) == (1, 0), done
    assert site.there("page-1.html")
    assert not site.there("blog/one.html")
    assert site.run().transferred == 1


def test_purge_sends_everything_anew_and_deletes_the_rest(site: Site) -> None:
    site.put({f"foreign/{n}.txt": "x" for n in range(10)} | {"uploads/a.jpg": "kept"})
    (site.live / "page-3.html").write_text("spoilt on the server")
    done = site.run(purge=True)
    assert done.state is RunState.DONE, done.error
    assert (done.transferred, done.deleted) == (len(FILES) - 1, 10)
    assert (site.live / "page-3.html").read_text() == "page 3"
    assert not site.there("foreign")
    assert site.there("uploads/a.jpg")


def test_purge_first_empties_the_site_before_anything_is_sent(site: Site) -> None:
    site.put({"foreign/x/y.txt": "x", "uploads/a.jpg": "kept"})
    done = site.run(purge_first=True)
    assert done.state is RunState.DONE, done.error
    assert done.transferred == len(FILES) - 1
    assert done.deleted == len(FILES) - 1 + 1  # uploads/ is protected
    assert not site.there("foreign")
    assert site.there("uploads/a.jpg")


def test_what_is_to_be_deleted_and_what_takes_its_place_do_not_meet(site: Site) -> None:
    """A file becomes a directory and a directory a file while deletes are asked for."""
    site.remove("page-1.html", "blog/one.html", "blog/deep/two.html")
    (site.source / "blog/deep").rmdir()
    (site.source / "blog").rmdir()
    write_tree(site.source, {"page-1.html/index.html": "a directory now", "blog": "a file now"})
    done = site.run(delete="published", max_delete="100%")
    assert done.state is RunState.DONE, (done.error, done.failures)
    assert (site.live / "blog").read_text() == "a file now"
    assert (site.live / "page-1.html/index.html").read_text() == "a directory now"


def test_another_website_inside_the_remote_directory_is_not_touched(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SamKirkland/ftp-deploy #143, #337: the outer site's deletes took the inner one with them."""
    monkeypatch.setenv("PASSWORD_OF_SHOP", site.server.password)
    inner = site.installation.add_site(site.server, "shop", remote="public_html/shop")
    write_tree(inner, {"index.html": "the shop's"})
    assert import_now(site.installation, site.redis, "shop").state is RunState.DONE
    site.put({"foreign.txt": "nobody's"})
    done = site.run(delete="all", max_delete="100%")
    assert (done.state, done.deleted) == (RunState.DONE, 1), done
    assert site.there("shop/index.html")
    assert site.there(f"shop/{BASE_NAME}/.htmanifest")
    assert site.run(purge=True).state is RunState.DONE
    assert site.there("shop/index.html")
