"""What a run knows of the server is what it was told, not what it could not ask."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from siteferry.run import RunState
from siteferry.tree import manifest as manifests
from siteferry.tree.plan_digest import Step, plan_digest
from siteferry.websites.run_options import RunOptions
from tests.inline import make_worker, start, work_off
from tests.installation import BASE_NAME, tree_of, write_tree
from tests.integration.test_review_deletes import FILES, Site
from tests.private_redis import RedisServer
from tests.servers.base import FtpServer
from tests.servers.wire import WireProxy
from tests.servers.wire_faults import SayInstead


@pytest.fixture
def site(
    pyftpd_server: FtpServer,
    redis_server: RedisServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Site:
    monkeypatch.setenv("PASSWORD_OF_EXAMPLE", pyftpd_server.password)
    return Site(tmp_path, redis_server, pyftpd_server)


def test_a_server_that_cannot_answer_now_is_not_one_without_a_manifest(
    site: Site, pyftpd_server: FtpServer
) -> None:
    site.publish()
    with WireProxy(pyftpd_server) as proxy:
        site.installation.add_site(proxy.server, compare="manifest")
        base = f"{site.server.remote_root.rstrip('/')}/public_html/{BASE_NAME}"
        proxy.faults.inject(SayInstead(f"CWD {base}", "450 Busy."))
        done = site.run()
    assert (done.state, done.transferred, done.skipped) == (RunState.DONE, 0, len(FILES))


def test_what_a_listing_has_shown_to_be_other_is_not_taken_for_published_any_more(
    site: Site,
) -> None:
    """Its transfer fails, and the others are published: the next run must still see it."""
    site.publish()
    (site.live / "blog/one.html").write_text("changed by somebody")
    write_tree(site.source, {"index.html": "changed here"})
    worker = make_worker(site.installation, site.redis)
    run = start(worker, options=RunOptions(compare="listing", on_failure="publish"))
    work_off(worker, run, lambda: worker.runs.snapshot(run).files_to_send == 2)
    content = (site.source / "blog/one.html").read_text()
    (site.source / "blog/one.html").unlink()
    done = work_off(worker, run)
    worker.pool.close_idle(everything=True)
    assert (done.failed, done.transferred) == (1, 1), done
    known = manifests.decode((site.live / BASE_NAME / ".htmanifest").read_bytes())
    assert "blog/one.html" not in known.files
    (site.source / "blog/one.html").write_text(content)
    assert site.run().transferred == 1
    assert tree_of(site.live) == tree_of(site.source)


def test_a_file_that_comes_back_while_the_run_compares_is_not_deleted(site: Site) -> None:
    """As a build that empties its folder first does."""
    site.publish()
    content = (site.source / "blog/one.html").read_text()
    (site.source / "blog/one.html").unlink()
    worker = make_worker(site.installation, site.redis)
    run = start(worker, options=RunOptions(delete="published", max_delete="100%"))
    work_off(worker, run, lambda: worker.runs.state(run) is RunState.TRANSFERRING)
    (site.source / "blog/one.html").write_text(content)
    done = work_off(worker, run)
    worker.pool.close_idle(everything=True)
    assert (done.state, done.deleted) == (RunState.DONE, 0)
    assert tree_of(site.live) == tree_of(site.source)


def test_a_plan_that_meets_a_conflict_is_not_carried_out_in_part(site: Site) -> None:
    site.publish()
    write_tree(site.live, {"new.html/precious.txt": "not siteferry's"})
    site.own(site.live / "new.html")
    write_tree(site.source, {"new.html": "new", "other.html": "other"})
    steps = [
        Step.put(path, len(text), hashlib.sha256(text.encode()).hexdigest())
        for path, text in (("new.html", "new"), ("other.html", "other"))
    ]
    done = site.run(expected=plan_digest(steps), on_failure="publish")
    assert (done.state, done.failed) == (RunState.INCOMPLETE, 1)
    assert not (site.live / "other.html").exists()
