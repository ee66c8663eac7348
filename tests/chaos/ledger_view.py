"""What a test sees of the ledger in Redis, and how it waits for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import redis

from siteferry.ledger.keys import Keys

T = TypeVar("T")

_POLL_SECONDS = 0.003


def wait_for(look: Callable[[], T | None], what: str, seconds: float = 60.0) -> T:
    """The first thing that `look` finds; fails with `what` when there is none in time."""
    deadline = time.monotonic() + seconds
    while (found := look()) is None:
        assert time.monotonic() < deadline, f"not in {seconds:.0f} seconds: {what}"
        time.sleep(_POLL_SECONDS)
    return found


@dataclass(frozen=True, slots=True)
class LedgerView:
    """Reads keys; all methods raise redis.RedisError while Redis is away."""

    client: Any
    keys: Keys = Keys()  # noqa: RUF009  # frozen

    @classmethod
    def at(cls, url: str) -> LedgerView:
        return cls(redis.Redis.from_url(url, decode_responses=True))

    def latest(self) -> str | None:
        """The run that was started last."""
        return next(iter(self.client.zrange(self.keys.runs(), -1, -1)), None)

    def field(self, run: str, name: str) -> str | None:
        found: str | None = self.client.hget(self.keys.run(run), name)
        return found

    def transferred(self, run: str) -> int:
        return int(self.field(run, "transferred") or 0)

    def owner(self, run: str, item: str) -> int | None:
        """The process id of the worker that has claimed an item."""
        claim = self.client.hget(self.keys.claims(run), item)
        return int(claim.split(" ")[1].rsplit("-", 2)[1]) if claim else None

    def claimed(self, run: str) -> list[str]:
        """The items that workers have claimed."""
        return list(self.client.hkeys(self.keys.claims(run)))

    def owners_of_files(self, run: str) -> set[int]:
        """The process ids of all workers that send files."""
        items = [item for item in self.claimed(run) if item.startswith("files-")]
        return {pid for item in items if (pid := self.owner(run, item)) is not None}

    def finished_attempt(self, run: str, item: str) -> int:
        """The attempt that has finished an item; 0: none has."""
        reply = self.client.hget(self.keys.replies(run), item)
        return int(reply.split(" ")[0]) if reply else 0

    def living(self, most_age_seconds: float) -> set[int]:
        """The process ids of the workers that have beaten within that time."""
        since = self.now() - most_age_seconds
        nodes = self.client.zrangebyscore(self.keys.nodes(), since, "+inf")
        return {int(node.rsplit("-", 2)[1]) for node in nodes}

    def now(self) -> float:
        seconds, micros = self.client.time()
        return float(seconds + micros / 1e6)

    def unquiet(self) -> dict[str, object]:
        """What no run needs any more once all have ended: work that counts as under way, and leases
        that have not expired."""
        keys, client = self.keys, self.client
        found: dict[str, object] = {
            keys.beats(): client.zrange(keys.beats(), 0, -1),
            keys.delayed(): client.zrange(keys.delayed(), 0, -1),
            keys.live(): client.smembers(keys.live()),
        }
        for key in client.scan_iter(keys.window("*"), count=1000):
            found[key] = client.hgetall(key)
        for key in client.scan_iter(keys.turns("*"), count=1000):
            found[key] = client.lrange(key, 0, -1)
        for key in client.scan_iter(keys.slots_of_account("*").replace("account:", ""), count=1000):
            found[key] = client.zrangebyscore(key, f"({self.now()}", "+inf")
        return {key: value for key, value in found.items() if value}
