"""What the ledger says that a worker process holds, read in one step."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.private_redis import RedisServer

_PREFIX = "siteferry:"


@dataclass(frozen=True)
class Holdings:
    """Attempts that it has claimed, and those that stand before it only; leases of connections;
    messages in its own queue; whether it counts as alive."""

    claimed: frozenset[str]
    unclaimed: frozenset[str]
    leases: frozenset[str]
    messages: int
    alive: bool


NOTHING = Holdings(frozenset(), frozenset(), frozenset(), 0, alive=False)


def holdings_of(server: RedisServer, node: str) -> Holdings:
    """Of the worker process called `node`."""
    with server.client() as client:
        keys = [key.decode() for key in client.scan_iter(f"{_PREFIX}*")]
        windows = [key for key in keys if key.endswith(":window")]
        slots = [key for key in keys if key.startswith(f"{_PREFIX}slots:")]
        with client.pipeline(transaction=True) as pipe:
            for key in windows:
                pipe.hgetall(key)
            for key in slots:
                pipe.zrange(key, 0, -1)
            pipe.zrange(f"{_PREFIX}beats", 0, -1)
            pipe.llen(f"{_PREFIX}siteferry.node.{node}")
            pipe.zscore(f"{_PREFIX}nodes", node)
            answers: list[Any] = pipe.execute()
    beats = {member.decode() for member in answers[-3]}
    own = {
        member.decode()
        for window in answers[: len(windows)]
        for member, entry in window.items()
        if entry.decode().partition(" ")[0] == node
    }
    tokens = {token.decode() for some in answers[len(windows) : -3] for token in some}
    return Holdings(
        frozenset(own & beats),
        frozenset(own - beats),
        frozenset(token for token in tokens if token.startswith(f"{node}.")),
        answers[-2],
        answers[-1] is not None,
    )


def nodes_of(server: RedisServer) -> set[str]:
    """Worker processes that the ledger knows."""
    with server.client() as client:
        return {node.decode() for node in client.zrange(f"{_PREFIX}nodes", 0, -1)}


def node_of(server: RedisServer, process: subprocess.Popen[str]) -> str:
    """The node's name of a worker process that was just started; bounded."""
    found: list[str] = []

    def known() -> bool:
        found[:] = [n for n in nodes_of(server) if n.split("-")[-2] == str(process.pid)]
        return bool(found)

    wait_until(known, "the worker did not start")
    return found[0]


def wait_until(condition: Callable[[], object], what: str, seconds: float = 60) -> None:
    """Until `condition` holds; `what` is said where it does not come to that."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)
