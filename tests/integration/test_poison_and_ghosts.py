"""Items that end whoever carries them, and attempts that count no more: nothing goes round for
ever, and no ghost decides anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from siteferry.dispatch.carry import carry
from siteferry.dispatch.heartbeat import sweep
from siteferry.dispatch.policy import MOST_DEATHS
from siteferry.dispatch.runtime import Runtime
from siteferry.dispatch.work import Work
from siteferry.errors import RemoteDirectoryRefused, SiteferryError
from siteferry.ledger.items import Finish
from siteferry.run import ItemKind, Member, RunState
from tests.inline import STEPS, make_worker, start, work_off
from tests.installation import Installation, write_tree
from tests.private_redis import RedisServer
from tests.servers.base import FtpServer


@pytest.fixture
def worker(
    pyftpd_server: FtpServer,
    redis_server: RedisServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Runtime]:
    monkeypatch.setenv("PASSWORD_OF_EXAMPLE", pyftpd_server.password)
    installation = Installation(tmp_path, redis=redis_server.url)
    source = installation.add_site(pyftpd_server)
    write_tree(source, {"a.txt": "a", "b.txt": "b"})
    made = make_worker(installation, redis_server)
    yield made
    made.pool.close_idle(everything=True)


def dies_over(worker: Runtime, member: Member) -> Member:
    """A worker claims `member` and is never heard of again; gives the next attempt."""
    dead = "dead"
    assert worker.items.claim(member, dead) is not None
    client, keys = worker.connection.client, worker.connection.keys
    client.zadd(keys.beats(), {str(member): 0})
    sweep(worker)
    (following,) = worker.broker.members  # type: ignore[attr-defined]
    worker.broker.members.clear()  # type: ignore[attr-defined]
    return following  # type: ignore[no-any-return]


def first_files_item(worker: Runtime, run: str) -> Member:
    queue = worker.broker.members  # type: ignore[attr-defined]
    work_off(worker, run, lambda: bool(queue) and ItemKind.of(queue[0].item) is ItemKind.FILES)
    return queue.popleft()  # type: ignore[no-any-return]


def test_files_over_which_worker_after_worker_has_died_fail_with_the_reason(
    worker: Runtime,
) -> None:
    run = start(worker)
    member = first_files_item(worker, run)
    for _ in range(MOST_DEATHS):
        member = dies_over(worker, member)
    carry(worker, member, STEPS[ItemKind.FILES])
    ended = worker.runs.snapshot(run)
    assert ended.state is RunState.INCOMPLETE
    assert {failure.path for failure in ended.failures} == {"a.txt", "b.txt"}
    assert all("15 workers in a row have died" in f.error for f in ended.failures)


@dataclass
class Ghostly:
    """A step during which something happens, and that then fails for good."""

    kind: ItemKind
    meanwhile: Callable[[], object]
    carried: int = 0

    def carry(self, work: Work) -> Finish:
        self.carried += 1
        self.meanwhile()
        raise RemoteDirectoryRefused("it cannot be written")

    def give_up(self, work: Work, error: SiteferryError) -> None:
        """The run ends with it."""


def test_an_attempt_that_was_taken_away_ends_no_run(worker: Runtime) -> None:
    run = start(worker)
    member = worker.broker.members.popleft()  # type: ignore[attr-defined]

    def silent() -> None:
        client, keys = worker.connection.client, worker.connection.keys
        client.zadd(keys.beats(), {str(member): 0})
        sweep(worker)

    carry(worker, member, Ghostly(ItemKind.PLAN, silent))
    assert worker.runs.state(run) is RunState.PLANNING
    assert work_off(worker, run).state is RunState.DONE


def test_a_process_carries_no_attempt_twice_even_if_redis_has_forgotten_its_claim(
    worker: Runtime,
) -> None:
    run = start(worker)
    member = worker.broker.members.popleft()  # type: ignore[attr-defined]
    second = Ghostly(ItemKind.PLAN, lambda: None)

    def forgotten() -> None:
        worker.connection.client.delete(worker.connection.keys.claims(run))
        carry(worker, member, second)

    carry(worker, member, Ghostly(ItemKind.PLAN, forgotten))
    assert second.carried == 0


def test_one_death_fewer_is_none(worker: Runtime) -> None:
    run = start(worker)
    member = first_files_item(worker, run)
    for _ in range(MOST_DEATHS - 1):
        member = dies_over(worker, member)
    worker.broker.send([member])
    assert work_off(worker, run).state is RunState.DONE


def test_a_plan_that_ends_every_worker_ends_the_run(worker: Runtime) -> None:
    run = start(worker)
    member = worker.broker.members.popleft()  # type: ignore[attr-defined]
    for _ in range(MOST_DEATHS):
        member = dies_over(worker, member)
    carry(worker, member, STEPS[ItemKind.PLAN])
    ended = worker.runs.snapshot(run)
    assert ended.state is RunState.FAILED
    assert ended.error is not None
    assert ended.error.kind == "WorkersLost"
