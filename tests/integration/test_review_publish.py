"""Publishes that are repeated, meet another one, or are refused a part of what they delete."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from typing import Any

import pytest

import siteferry.publish.carry_out as carrying
import worker.publish as publishing
from siteferry.errors import TargetHeld, TransferMismatch
from siteferry.ftp import documents
from siteferry.ftp.session import Session
from siteferry.publish.lock import Lock
from siteferry.publish.observe import Observed
from siteferry.run import RunState
from siteferry.tree import manifest as manifests
from siteferry.websites.run_options import RunOptions
from tests.inline import make_worker, start, work_off
from tests.installation import BASE_NAME, left_over, tree_of, write_tree
from tests.integration.test_review_deletes import FILES, Site, site

__all__ = ["site"]


@pytest.mark.parametrize("last", ["carry_out", "_sweep"])
@pytest.mark.parametrize(
    "error", [ConnectionError("killed here"), TransferMismatch("the session lives on")]
)
def test_a_publish_that_was_done_and_not_told_is_told_exactly_by_the_next_attempt(
    site: Site, error: Exception, last: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker dies between the journal's removal and the item's end: with the lock given back,
    or, where it looks for what dead runs have left, still with it."""
    site.publish()
    (site.source / "blog/one.html").unlink()
    write_tree(site.source, {"new/deep/page.html": "new"})
    done_by, calls = getattr(publishing, last), []

    def dies(*args: Any, **named: Any) -> Any:
        calls.append(args)
        result = done_by(*args, **named)
        if len(calls) == 1:
            raise error
        return result

    monkeypatch.setattr(publishing, last, dies)
    worker = make_worker(site.installation, site.redis)
    if last == "_sweep":
        client = worker.connection.client
        client.delete(*client.keys(worker.connection.keys.swept("*")))
    options = RunOptions(delete="published", max_delete="100%")
    done = work_off(worker, start(worker, options=options))
    worker.pool.close_idle(everything=True)
    assert calls, "it has not died"
    assert done.state is RunState.DONE, done.error
    assert (done.transferred, done.deleted, done.dirs_created) == (1, 1, 2)
    assert tree_of(site.live) == tree_of(site.source)
    assert left_over(site.live) == []


def test_a_publish_that_another_machine_has_begun_is_not_overwritten(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Machines that share no ledger: the other's journal came while this run transferred. It is
    finished, and this run publishes nothing."""
    site.publish()
    write_tree(site.source, {"index.html": "of the first"})
    first = make_worker(site.installation, site.redis)

    def dies(*args: object, **named: object) -> None:
        raise ConnectionError("cut off behind the journal")

    with monkeypatch.context() as patch:
        patch.setattr(publishing, "carry_out", dies)
        open_run = start(first)
        work_off(first, open_run, lambda: (site.live / BASE_NAME / ".htjournal").exists())
    first.pool.close_idle(everything=True)
    journal = site.live / BASE_NAME / ".htjournal"
    kept, staged = journal.read_bytes(), journal.with_name(open_run)
    hidden = site.installation.folder / "hidden"
    shutil.move(staged, hidden)
    journal.unlink()
    site.redis.flush()  # another machine's ledger
    write_tree(site.source, {"index.html": "of the second"})
    second = make_worker(site.installation, site.redis)
    second.sleep = lambda _seconds: None
    run = start(second)
    work_off(second, run, lambda: second.runs.state(run) is RunState.PUBLISHING)
    shutil.move(hidden, staged)
    journal.write_bytes(kept)
    site.own(journal)
    ended = work_off(second, run)
    second.pool.close_idle(everything=True)
    assert ended.state is RunState.FAILED
    assert ended.error is not None
    assert ended.error.exit_code == 5
    assert not journal.exists()
    assert (site.live / "index.html").read_text() == "of the first"
    done = site.run()
    assert done.state is RunState.DONE
    assert (site.live / "index.html").read_text() == "of the second"
    assert left_over(site.live) == []


def test_what_could_not_be_deleted_is_still_known_as_published(site: Site) -> None:
    if os.geteuid() != 0 or site.server.root.stat().st_uid == 0:
        pytest.skip("the account must be another one than that of the test")
    site.publish()
    for path in ("blog/one.html", "blog/two.html"):
        (site.source / path).unlink()
    (site.source / "blog").rmdir()
    owner = (site.live / "blog").stat()
    os.chown(site.live / "blog", 0, 0)
    (site.live / "blog").chmod(0o755)
    refused = site.run(delete="published", max_delete="100%")
    assert (refused.state, refused.deleted, refused.failed) == (RunState.INCOMPLETE, 0, 2)
    known = manifests.decode((site.live / BASE_NAME / ".htmanifest").read_bytes())
    assert set(known.files) == set(FILES)
    os.chown(site.live / "blog", owner.st_uid, owner.st_gid)
    assert site.run(delete="published", max_delete="100%").deleted == 2
    assert tree_of(site.live) == tree_of(site.source)


def test_a_name_that_changed_in_case_is_deleted_where_both_are_files(site: Site) -> None:
    """And is let be where the server has only one of them, as one that folds case has."""
    site.publish(FILES | {"Logo.png": "logo"})
    (site.source / "Logo.png").rename(site.source / "logo.png")
    assert site.run().state is RunState.DONE
    done = site.run(delete="published", max_delete="100%")
    assert (done.state, done.deleted) == (RunState.DONE, 1)
    assert tree_of(site.live) == tree_of(site.source)
    write_tree(site.source, {"index.html": "changed"})
    (site.source / "logo.png").rename(site.source / "LOGO.png")
    done = site.run(delete="published", max_delete="100%")
    assert (done.state, done.deleted, done.transferred) == (RunState.DONE, 1, 2)
    assert tree_of(site.live) == tree_of(site.source)
    (site.source / "LOGO.png").rename(site.source / "logo.PNG")
    assert site.run().state is RunState.DONE
    (site.live / "logo.PNG").unlink()  # what a listing of a server that folds case shows
    done = site.run(delete="published", max_delete="100%")
    assert (done.state, done.deleted) == (RunState.DONE, 0)
    assert (site.live / "LOGO.png").exists()


@pytest.mark.parametrize("refused", [False, True])
def test_a_manifest_that_was_damaged_on_its_way_keeps_no_publish_open(
    site: Site, refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its size alone is looked at before the journal stands; the next run compares by listing."""
    site.publish()
    write_tree(site.source, {"index.html": "changed", "blog/new.html": "new"})
    store, end, cut = publishing.store_document, carrying.remove_empty_directories, []

    def damaged(session: Session, path: str, content: bytes) -> None:
        store(session, path, content[:-9] + b"something")

    def dies(*args: object) -> None:
        if not cut:
            cut.append(True)
            raise ConnectionError("cut off behind the manifest")
        end(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(publishing, "store_document", damaged)
    if refused:
        # The server refuses one rename for good: the manifest is written anew without that file.
        (site.live / "blog/new.html").mkdir()
        observed = Observed(frozenset(), frozenset(), {})
        monkeypatch.setattr(publishing, "observe", lambda *_: observed)
    else:
        monkeypatch.setattr(carrying, "remove_empty_directories", dies)
    done = site.run()
    monkeypatch.undo()
    monkeypatch.setenv("PASSWORD_OF_EXAMPLE", site.server.password)
    assert done.state is (RunState.INCOMPLETE if refused else RunState.DONE), done.error
    assert left_over(site.live) == []
    if refused:
        (site.live / "blog/new.html").rmdir()
    assert site.run().state is RunState.DONE
    assert tree_of(site.live) == tree_of(site.source)


def test_a_journal_that_comes_back_damaged_gives_the_lock_back_and_takes_no_place(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock is taken along with the command that reads the journal back."""
    site.publish()
    lock = site.live / BASE_NAME / ".htlock"
    free = sorted(lock.iterdir())
    write_tree(site.source, {"index.html": "changed"})

    read, damages = documents.ask_and_read, []

    def damaged(session: Session, commands: Sequence[str], *args: Any) -> Any:
        replies, content = read(session, commands, *args)
        if not any(".htlock" in command for command in commands):
            return replies, content
        damages.append(sorted(lock.iterdir()) != free)
        return replies, bytes(content) + b"."

    with monkeypatch.context() as patch:
        patch.setattr(documents, "ask_and_read", damaged)
        ended = site.run()
    assert damages == [True], "the lock was taken with it"
    assert ended.state is RunState.FAILED
    assert sorted(lock.iterdir()) == free
    assert not (site.live / BASE_NAME / ".htjournal").exists()
    assert site.run().state is RunState.DONE


def test_a_lock_that_was_lost_while_the_journal_was_read_back_keeps_it_from_its_place(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.publish()
    write_tree(site.source, {"index.html": "changed"})

    def lost(_lock: Lock) -> None:
        raise TargetHeld("another one has taken it over")

    with monkeypatch.context() as patch:
        patch.setattr(Lock, "keep", lost)
        ended = site.run()
    assert ended.state is RunState.FAILED
    assert not (site.live / BASE_NAME / ".htjournal").exists()
    assert (site.live / "index.html").read_text() != "changed"
