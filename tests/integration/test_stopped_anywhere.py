"""A worker that is told to stop at any moment: another one goes on, and nothing counts twice."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from siteferry.dispatch.carry import carry
from siteferry.dispatch.handing_back import hand_back
from siteferry.dispatch.runtime import Runtime
from siteferry.ledger.items import Fate
from siteferry.run import ItemKind, RunState
from tests.holdings import NOTHING, holdings_of
from tests.inline import STEPS, make_worker, start, work_off
from tests.installation import BASE_NAME, Installation, left_over, tree_of, write_tree
from tests.private_redis import RedisServer
from tests.servers.base import FtpServer

FILES = {f"d{number % 4}/page-{number:02}.html": "x" * number for number in range(24)}


class StopsAt(threading.Event):
    """Is set from the `number`th look at it on."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._left = number

    def is_set(self) -> bool:
        self._left -= 1
        if self._left <= 0:
            self.set()
        return super().is_set()


@pytest.fixture
def installation(
    pyftpd_server: FtpServer,
    redis_server: RedisServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Installation:
    made = Installation(tmp_path, redis=redis_server.url)
    made.configure(batch={"files": 5})
    write_tree(made.add_site(pyftpd_server, ftp={"max_connections": 2}), FILES)
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    return made


def carry_until_stopped(worker: Runtime, run: str, stops: StopsAt) -> ItemKind | None:
    """Carry items, as Celery hands them over; gives what was in hand at the end."""
    queue = worker.broker.members  # type: ignore[attr-defined]
    kind: ItemKind | None = None
    while queue and not threading.Event.is_set(stops):
        member = queue.popleft()
        kind = ItemKind.of(member.item)
        carry(worker, member, STEPS[kind])
    return kind


def stop_and_go_on(
    installation: Installation, redis: RedisServer, live: Path, number: int
) -> ItemKind | None:
    """An import whose first worker stops at the `number`th look; gives what it had in hand, None
    where it came to the end."""
    one = make_worker(installation, redis, "one.host")
    one.stopping = stops = StopsAt(number)
    run = start(one)
    kind = carry_until_stopped(one, run, stops)
    state = one.runs.state(run)
    assert not (live / BASE_NAME / ".htjournal").exists(), "a publish was left half done"
    one.pool.close_idle(everything=True)
    hand_back(one.connection, one.broker, one.node, Fate.LEFT)
    assert holdings_of(redis, one.node) == NOTHING
    two = make_worker(installation, redis, "two.host")
    two.broker = one.broker
    done = work_off(two, run)
    assert (done.state, done.transferred, done.failed) == (RunState.DONE, len(FILES), 0)
    assert sum(done.workers.values()) == len(FILES)
    attempts = two.connection.client.hgetall(two.connection.keys.fruitless(run))
    assert attempts == {}, "to stop counted as fruitless"
    two.pool.close_idle(everything=True)
    one.connection.client.close()
    two.connection.client.close()
    return None if state is RunState.DONE else kind


@pytest.mark.slow
def test_wherever_a_worker_is_stopped_another_one_goes_on(
    installation: Installation, pyftpd_server: FtpServer, redis_server: RedisServer
) -> None:
    """At each look that the first worker takes, one after the other, until it takes no more."""
    live = pyftpd_server.root / "public_html"
    source = installation.folder / "workspaces/example/output"
    in_hand: list[ItemKind] = []
    for number in range(1, 500):
        for path in source.rglob("*.html"):
            path.write_text(f"{path.name} {number:03}")
        kind = stop_and_go_on(installation, redis_server, live, number)
        assert tree_of(live) == tree_of(source)
        assert left_over(live) == []
        if kind is None:
            break
        in_hand.append(kind)
    assert set(in_hand) == set(ItemKind)
    assert len(in_hand) > len(FILES), "it looks before each file"
