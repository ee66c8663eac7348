"""What workers' events tell of siteferry's tasks: website and directory, and how they ended."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from celery.exceptions import Ignore, Retry

from siteferry.broker import make_broker
from siteferry.run import Ended, Ending, Member
from siteferry.task_states import ItemEnded, show_state
from tests.acceptance.test_two_workers import wait_for_workers
from tests.holdings import wait_until
from tests.inline import import_now
from tests.installation import Installation, write_tree
from tests.private_redis import RedisServer
from tests.servers.base import PASSWORD, FtpServer
from tests.servers.wire import WireProxy
from tests.servers.wire_faults import CutControl, SayInstead

Event = dict[str, Any]


class Request(dict[str, Any]):
    """Of a task, as far as its state asks for it."""

    def __init__(self, *, redelivered: bool = False) -> None:
        self.delivery_info = {"redelivered": redelivered}


@contextmanager
def events_of(redis_server: RedisServer) -> Iterator[list[Event]]:
    """All that the workers tell from now on."""
    app = make_broker(redis_server.url).app
    seen: list[Event] = []
    with app.connection_for_read() as connection:
        receiver = app.events.Receiver(connection, handlers={"*": seen.append})
        listener = threading.Thread(target=receiver.capture, kwargs={"wakeup": False}, daemon=True)
        listener.start()
        yield seen
        receiver.should_stop = True
        listener.join(10)
    app.close()


def ends(seen: list[Event]) -> dict[str, Event]:
    """Of each task, by its id: what it ended with."""
    kinds = ("task-succeeded", "task-failed", "task-retried")
    return {event["uuid"]: event for event in list(seen) if event["type"] in kinds}


def left_of_celery(redis_server: RedisServer) -> list[bytes]:
    with redis_server.client() as client:
        messages = [
            *client.hkeys("siteferry:unacked"),
            *client.lrange("siteferry:siteferry.work", 0, -1),
        ]
        return messages + list(client.keys("*task-meta*"))


@pytest.mark.slow
def test_events_tell_what_was_done_why_it_failed_and_why_it_is_tried_again(
    pyftpd_server: FtpServer, redis_server: RedisServer, tmp_path: Path
) -> None:
    installation = Installation(tmp_path, redis=redis_server.url)
    installation.configure(batch={"files": 4})
    with WireProxy(pyftpd_server) as wire:
        source = installation.add_site(wire.server, ftp={"max_connections": 1})
        pages: dict[str, str | bytes] = {f"blog/{n}.html": "x" for n in range(8)}
        write_tree(source, {**pages, "img/a.png": "a", "<b>&.txt": "odd"})
        wire.faults.inject(SayInstead("STOR", "553 Could not create file.", number=3))
        wire.faults.inject(CutControl("STOR", number=6))
        with events_of(redis_server) as seen, installation.process("worker"):
            wait_for_workers(redis_server, 1)
            # It was started without --events; it sends those of tasks once somebody asks.
            wait_until(lambda: seen, "no heartbeat")
            make_broker(redis_server.url).app.control.enable_events()
            result = installation.run("import", "example", "--json", "--quiet")
            run = result.json["run"]
            wait_until(lambda: len(ends(seen)) >= 6, "not all tasks have ended")
            wait_until(lambda: not left_of_celery(redis_server), "a message was left")
    assert result.code == 1, result.output
    received = {e["uuid"]: e for e in seen if e["type"] == "task-received"}
    told = {
        uuid: (received[uuid]["name"], received[uuid]["args"], end["type"])
        for uuid, end in ends(seen).items()
    }
    assert told[f"{run}.plan.1"] == (
        "siteferry.plan[example]",
        "example: the whole website",
        "task-succeeded",
    )
    assert told[f"{run}.directory-0.1"][1:] == (
        "example: top directory to img (3 directories)",
        "task-succeeded",
    )
    files = {what for uuid, what in told.items() if ".files-" in uuid}
    name = "siteferry.files[example]"
    assert files == {
        (name, "example: top directory to blog (4 files)", "task-succeeded"),
        (name, "example: blog (4 files)", "task-retried"),
        (name, "example: blog (4 files)", "task-failed"),
        (name, "example: blog to img (2 files)", "task-succeeded"),
    }
    (failed,) = (end for end in ends(seen).values() if end["type"] == "task-failed")
    assert failed["exception"].startswith("FilesFailed: 1 of 4: 553 Could not create file. (first:")
    assert "the server said: 553 Could not create file." in failed["traceback"]
    (retried,) = (end for end in ends(seen).values() if end["type"] == "task-retried")
    assert retried["exception"].startswith("SessionLost: ")
    assert "the server said: 553 Could not create file." in retried["traceback"]
    assert "as attempt 2. FilesFailed: 1 of 4: 553 Could not" in retried["exception"]
    assert PASSWORD not in json.dumps(seen)
    log = (tmp_path / "worker.log").read_text()
    assert "Traceback" not in log
    assert received[f"{run}.plan.1"]["kwargs"] == f"run {run}, attempt 1"


def test_an_end_shows_as_result_or_is_raised_for_celery() -> None:
    done = Ended(Ending.DONE, "3 files sent")
    assert show_state(Request(), done) == "3 files sent"
    with pytest.raises(ItemEnded) as failed:
        show_state(Request(), Ended(Ending.FAILED, "FilesFailed: 1 of 3", ("a: 553", "b: 553")))
    assert repr(failed.value) == "FilesFailed: 1 of 3"
    assert str(failed.value) == "FilesFailed: 1 of 3\na: 553\nb: 553"
    with pytest.raises(Retry) as again:
        show_state(Request(), Ended(Ending.AGAIN, "SessionLost: cut", delay_seconds=2.5))
    assert repr(again.value) == "SessionLost: cut"
    assert again.value.when == 2.5


def test_what_is_not_ours_to_do_is_a_success_and_a_second_delivery_leaves_the_firsts_state() -> (
    None
):
    dropped = Ended(Ending.DROPPED, "nothing to do")
    assert show_state(Request(), dropped) == "nothing to do"
    with pytest.raises(Ignore):
        show_state(Request(redelivered=True), dropped)
    done = Ended(Ending.DONE, "3 files sent")
    assert show_state(Request(redelivered=True), done) == "3 files sent"


@pytest.mark.slow
def test_a_message_that_is_passed_on_keeps_what_it_shows(redis_server: RedisServer) -> None:
    """As a worker does that was told to stop: from what Celery hands to the task."""
    from siteferry.task_states import member_of

    broker = make_broker(redis_server.url)
    sent = Member("run-1", "files-0-0", 1, "example", "img (3 files)")
    for _ in range(2):
        broker.send([sent])
        with redis_server.client() as client:
            headers = json.loads(client.rpop("siteferry:siteferry.work"))["headers"]  # type: ignore[arg-type]
        sent = member_of(headers, "run-1", "files-0-0", 1)
    broker.app.close()
    assert (sent.site, sent.label) == ("example", "img (3 files)")


def test_words_that_cannot_be_made_keep_no_item_from_ending(
    redis_server: RedisServer,
    pyftpd_server: FtpServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fails(*_: object) -> Ended:
        raise KeyError("no such word")

    monkeypatch.setattr("siteferry.dispatch.carry.ended_finished", fails)
    site = Installation(tmp_path, redis=redis_server.url)
    write_tree(site.add_site(pyftpd_server), {"index.html": "hello"})
    for name, value in site.environment.items():
        monkeypatch.setenv(name, value)
    snapshot = import_now(site, redis_server)
    assert (snapshot.state, snapshot.transferred) == ("done", 1)
    assert "what became of a task cannot be told" in caplog.text
