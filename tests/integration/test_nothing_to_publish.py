"""A run that changes nothing gathers nothing; whatever else there is to publish, is published."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis

from siteferry.run import RunState, Snapshot
from tests.inline import import_now
from tests.installation import BASE_NAME, Installation, write_tree
from tests.private_redis import RedisServer
from tests.servers.base import FtpServer

FILES = {"index.html": "entry", "blog/one.html": "one", "blog/two.html": "two"}


class Site:
    """A website that is published, on a ledger that counts its commands."""

    def __init__(self, folder: Path, server: RedisServer, ftp: FtpServer) -> None:
        self.installation = Installation(folder, redis=server.url)
        self.source = self.installation.add_site(ftp)
        self.live = ftp.root / "public_html"
        self.redis = server
        write_tree(self.source, FILES)
        assert self.run().state is RunState.DONE

    def run(self, **options: object) -> Snapshot:
        return import_now(self.installation, self.redis, **options)  # type: ignore[arg-type]

    def gathers(self, **options: object) -> bool:
        """Run an import; whether its publish item has read what was published and sent."""
        with redis.Redis.from_url(self.redis.url) as client:
            client.config_resetstat()
            done = self.run(**options)
            assert done.state is RunState.DONE, done
            asked = client.info("commandstats").get("cmdstat_hkeys", {"calls": 0})["calls"]
            # The run's end looks once which messages of it are still out.
            return bool(asked > 1)


@pytest.fixture
def site(
    pyftpd_server: FtpServer,
    redis_server: RedisServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Site:
    monkeypatch.setenv("PASSWORD_OF_EXAMPLE", pyftpd_server.password)
    return Site(tmp_path, redis_server, pyftpd_server)


def test_an_unchanged_run_reads_nothing_back_from_the_ledger(site: Site) -> None:
    assert not site.gathers()
    assert not site.gathers(delete="published")


def test_a_changed_file_is_published(site: Site) -> None:
    (site.source / "blog/one.html").write_text("changed")
    assert site.gathers()
    assert (site.live / "blog/one.html").read_text() == "changed"


def test_a_new_directory_is_made_although_no_file_is_in_it(site: Site) -> None:
    (site.source / "empty").mkdir()
    assert site.gathers()
    assert (site.live / "empty").is_dir()
    assert not site.gathers()


def test_what_is_gone_from_the_source_is_deleted_although_nothing_is_sent(site: Site) -> None:
    (site.source / "blog/two.html").unlink()
    assert site.gathers(delete="published", max_delete="100%")
    assert not (site.live / "blog/two.html").exists()
    assert not site.gathers(delete="published")


def test_a_directory_that_is_gone_from_the_source_is_removed_although_no_file_is(
    site: Site,
) -> None:
    (site.source / "empty").mkdir()
    site.run()
    (site.source / "empty").rmdir()
    assert site.gathers(delete="published")
    assert not (site.live / "empty").exists()


def test_what_only_the_server_has_is_deleted_although_nothing_is_sent(site: Site) -> None:
    (site.live / "foreign.txt").write_text("foreign")
    assert site.gathers(delete="all", max_delete="100%")
    assert not (site.live / "foreign.txt").exists()


def test_a_manifest_that_is_gone_is_written_again_although_nothing_is_sent(site: Site) -> None:
    manifest = site.live / BASE_NAME / ".htmanifest"
    manifest.unlink()
    assert site.gathers()
    assert manifest.exists()


def test_adoption_writes_the_manifest_although_nothing_is_sent(site: Site) -> None:
    assert site.gathers(adopt=True)


def test_a_plan_that_is_outdated_is_refused_although_nothing_is_to_be_done(site: Site) -> None:
    done = site.run(expected="0" * 64)
    assert done.error is not None
    assert done.error.kind == "PlanOutdated"
