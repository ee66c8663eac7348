"""`--purge-first` empties what it was told to, once something can take its place."""

from __future__ import annotations

import shutil

import pytest

import scheduler.purging as purging
from siteferry.dispatch import policy
from siteferry.run import RunState
from siteferry.websites.run_options import RunOptions
from tests.inline import make_worker, start, work_off
from tests.installation import tree_of, write_tree
from tests.integration.test_review_deletes import FILES, Site, site
from tests.servers.base import FtpServer

__all__ = ["site"]


def test_a_source_that_is_missing_does_not_empty_the_site(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It is offered around for a minute otherwise.
    monkeypatch.setattr(policy, "MOST_ELSEWHERE_SECONDS", 0.0)
    monkeypatch.setattr(policy, "FEWEST_ELSEWHERE", 2)
    site.publish()
    before = tree_of(site.live)
    shutil.rmtree(site.source)
    assert site.run(purge_first=True).state is RunState.FAILED
    assert tree_of(site.live) == before


def test_a_failure_that_holds_the_publish_does_not_empty_the_site(site: Site) -> None:
    site.publish()
    before = tree_of(site.live)
    (site.source / "bad.html").symlink_to("/etc/hostname")
    assert site.run(purge_first=True).state is RunState.INCOMPLETE
    assert tree_of(site.live) == before
    done = site.run(purge_first=True, on_failure="publish")
    assert (done.deleted, done.failed) == (len(FILES), 1)


def test_a_staging_directory_elsewhere_keeps_what_is_not_siteferrys(
    site: Site, ftp_server: FtpServer
) -> None:
    root = ftp_server.remote_root.rstrip("/")
    site.installation.add_site(ftp_server, ftp={"staging_dir": f"{root}/private/"})
    write_tree(ftp_server.root / "private", {"backup.sql": "precious"})
    site.own(ftp_server.root / "private")
    site.publish()
    done = site.run(purge_first=True)
    assert done.state is RunState.DONE, done.error
    assert (ftp_server.root / "private/backup.sql").exists()
    assert done.deleted == len(FILES)


@pytest.mark.parametrize("behind", [False, True])
def test_what_was_deleted_is_counted_whatever_was_cut_off(
    site: Site, behind: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker dies before, or right after, a burst of deletions."""
    site.publish()
    delete, calls = purging._delete, []

    def dies(*args: object) -> None:
        calls.append(args)
        if len(calls) == 2 and not behind:
            raise ConnectionError("killed here")
        delete(*args)  # type: ignore[arg-type]
        if len(calls) == 2:
            raise ConnectionError("killed here")

    monkeypatch.setattr(purging, "_delete", dies)
    worker = make_worker(site.installation, site.redis)
    done = work_off(worker, start(worker, options=RunOptions(purge_first=True)))
    worker.pool.close_idle(everything=True)
    assert (done.state, done.deleted) == (RunState.DONE, len(FILES))
    assert tree_of(site.live) == tree_of(site.source)
