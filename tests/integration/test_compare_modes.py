"""Comparing with the server itself: where there is no manifest, and where it was asked for."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from siteferry.run import RunState, Snapshot
from tests.inline import import_now
from tests.installation import BASE_NAME, Installation, tree_of, write_tree
from tests.private_redis import RedisServer
from tests.servers.base import FtpServer

FILES = {
    "index.html": "entry",
    "page.html": "a page",
    "assets/style.css": "style",
    "assets/deep/logo.svg": "<svg/>",
}
LONG_AGO = 1_500_000_000


class Site:
    """A website that was published, whose manifest is gone."""

    def __init__(self, folder: Path, redis: RedisServer, server: FtpServer) -> None:
        self.installation = Installation(folder, redis=redis.url)
        self.source = self.installation.add_site(server)
        self.live = server.root / "public_html"
        self.redis = redis
        write_tree(self.source, FILES)
        for path in FILES:
            os.utime(self.source / path, (LONG_AGO, LONG_AGO))
        assert self.run().state is RunState.DONE

    @property
    def manifest(self) -> Path:
        return self.live / BASE_NAME / ".htmanifest"

    def forget_manifest(self) -> None:
        shutil.rmtree(self.live / BASE_NAME)

    def run(self, **options: object) -> Snapshot:
        return import_now(self.installation, self.redis, **options)  # type: ignore[arg-type]


@pytest.fixture
def site(
    ftp_server: FtpServer,
    redis_server: RedisServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Site:
    monkeypatch.setenv("PASSWORD_OF_EXAMPLE", ftp_server.password)
    return Site(tmp_path, redis_server, ftp_server)


def test_without_a_manifest_the_listing_tells_what_is_there(site: Site) -> None:
    """SamKirkland/ftp-deploy #447, #165: state that is lost must not send everything again."""
    site.forget_manifest()
    done = site.run()
    assert (done.state, done.transferred, done.skipped) == (RunState.DONE, 0, len(FILES)), done
    assert site.manifest.exists()
    assert site.run(compare="manifest").skipped == len(FILES)


def test_a_damaged_manifest_is_said_and_the_listing_takes_its_place(site: Site) -> None:
    site.manifest.write_bytes(site.manifest.read_bytes()[:-9] + b"something")
    done = site.run()
    assert (done.state, done.transferred, done.skipped) == (RunState.DONE, 0, len(FILES))
    assert any("compared with the server's listing" in text for text in done.warnings)
    assert site.run(compare="manifest").state is RunState.DONE


def test_a_damaged_manifest_is_an_error_where_nothing_else_was_to_be_compared_with(
    site: Site,
) -> None:
    site.manifest.write_bytes(b"something")
    refused = site.run(compare="manifest")
    assert refused.state is RunState.FAILED
    assert refused.error is not None
    assert refused.error.kind == "DocumentDamaged"


def test_listing_sees_what_was_changed_on_the_server(site: Site) -> None:
    (site.live / "page.html").write_text("other")
    assert site.run().transferred == 0, "the manifest does not look"
    done = site.run(compare="listing")
    assert done.transferred == 1
    assert tree_of(site.live) == tree_of(site.source)


def test_mtime_sends_what_is_newer_here_and_leaves_what_is_older(site: Site) -> None:
    os.utime(site.source / "page.html", (LONG_AGO - 5000, LONG_AGO - 5000))
    (site.source / "index.html").write_text("ENTRY")
    done = site.run(compare="mtime")
    assert (done.transferred, done.skipped) == (1, len(FILES) - 1), done
    assert (site.live / "index.html").read_text() == "ENTRY"


def test_checksum_sees_a_change_that_size_and_time_hide(site: Site) -> None:
    """lftp #252: edits that keep the size are skipped."""
    live = site.live / "page.html"
    live.write_text("b page")
    os.utime(live, (LONG_AGO, LONG_AGO))
    assert site.run(compare="listing").transferred == 0
    done = site.run(compare="checksum")
    assert (done.transferred, done.skipped) == (1, len(FILES) - 1), done
    assert live.read_text() == "a page"


def test_adopt_takes_over_a_live_site_by_size_and_sends_the_rest(site: Site) -> None:
    """SamKirkland/ftp-deploy #470: a site that is live already cannot be taken over."""
    site.forget_manifest()
    for path in FILES:
        os.utime(site.live / path, (LONG_AGO + 77_777, LONG_AGO + 77_777))
    (site.source / "page.html").write_text("a page, longer")
    done = site.run(adopt=True)
    assert (done.state, done.transferred, done.skipped) == (RunState.DONE, 1, len(FILES) - 1)
    assert tree_of(site.live) == tree_of(site.source)
    later = site.run()
    assert (later.transferred, later.skipped) == (0, len(FILES))


def test_a_site_whose_times_are_in_another_zone_is_not_sent_again(site: Site) -> None:
    """rclone #2384, pyftpsync #19: the server's clock is in another time zone."""
    site.forget_manifest()
    for number, path in enumerate(FILES):
        here = LONG_AGO + number * 1000
        os.utime(site.source / path, (here, here))
        os.utime(site.live / path, (here + 7200, here + 7200))
    done = site.run()
    assert (done.transferred, done.skipped) == (0, len(FILES)), done
