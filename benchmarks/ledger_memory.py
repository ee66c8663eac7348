"""What a file costs in Redis: `python -m benchmarks.ledger_memory`.

Runs of 1,000, 10,000 and 100,000 files go through the ledger as an import leads them: each file has
a path of 47 bytes, a hundred are in a directory, and every one has changed since a manifest of as
many, which costs most. No FTP is spoken, and no file is there.
"""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from benchmarks.markdown import rows
from siteferry.ledger.connection import Connection, connect
from siteferry.ledger.items import Child, Finish, Items, Outcome, Status
from siteferry.ledger.runs import NewRun, Runs
from siteferry.run import Direction, ItemKind, Member
from siteferry.tree.manifest import Entry, encode_part
from tests.private_redis import RedisServer, redis_binary

SIZES = (1_000, 10_000, 100_000)
_EACH, _BATCH = 100, 64
_NODE = "worker-7c9f8b6d5-x2x4q-12-a1b2"
_MODIFIED = 1_760_000_000
_HEADER = ("files", "planned", "half sent", "all sent", "incomplete, kept", "done, kept")


@dataclass(frozen=True, slots=True)
class Measured:
    """Bytes beyond an empty ledger, at the moments of _HEADER."""

    files: int
    moments: tuple[int, ...]

    def cells(self) -> list[str]:
        a_file = (f"{used / self.files:,.0f}" for used in self.moments)
        return [f"{self.files:,}", *a_file]


class Ledger:
    """One empty ledger, and a run that is driven through it."""

    def __init__(self, connection: Connection, files: int) -> None:
        self._connection, self._files = connection, files
        self._runs, self._items = Runs(connection), Items(connection)
        self._waiting: deque[Member] = deque()
        self._empty = self.used()

    def used(self) -> int:
        """Bytes that Redis has allocated now."""
        while True:
            memory = self._connection.client.info("memory")
            if not memory["lazyfree_pending_objects"]:  # large keys are freed by another thread
                return int(memory["used_memory"])
            time.sleep(0.01)

    def drive(self, *, complete: bool) -> tuple[int, ...]:
        """One run to its end, `incomplete` where not all succeeds; bytes at its moments."""
        run = f"20260131-154501-{self._files:06x}"
        self._waiting.extend(self._runs.start(_new_run(run)))
        self._carry(self._plan)
        for _ in range(-(-self._files // _EACH)):
            self._carry(self._compare)
        moments = [self.used() - self._empty]
        batches = self._connection.client.hlen(self._connection.keys.items(run))
        for sent in range(1, batches + 1):
            self._carry(self._send, failing=sent == batches and not complete)
            if sent == batches // 2:
                moments.append(self.used() - self._empty)
        moments.append(self.used() - self._empty)
        if complete:
            self._carry(lambda _body: Finish())
            moments.append(self.used() - self._empty)
        return tuple(moments)

    def _carry(self, step: Callable[..., Finish], **options: bool) -> None:
        member = self._waiting.popleft()
        claim = self._items.claim(member, _NODE)
        if claim is None:
            raise RuntimeError(f"{member} cannot be claimed")
        self._run, self._item = member.run, member.item
        self._waiting.extend(self._items.finish(member, _NODE, step(claim.body, **options)))

    def _plan(self, _body: object) -> Finish:
        directories = [f"wp-content/uploads/directory-{n:04}" for n in range(self._files // _EACH)]
        previous = ((d, encode_part(dict(_entries(d)))) for d in directories)
        tree = {"directories": directories, "previous": directories, "remove": [], "refused": []}
        self._runs.keep_plan(self._run, previous, tree)
        children = [
            Child(f"{ItemKind.DIRECTORY}-{n}", {"directories": [d]})
            for n, d in enumerate(directories)
        ]
        return Finish(children=children, fields={"planned": 1})

    def _compare(self, body: dict[str, Sequence[str]]) -> Finish:
        found = [
            [f"{d}/{name}", f"/srv/sites/workspaces/example/output/{d}/{name}", 12_345, _MODIFIED]
            for d in body["directories"]
            for name, _ in _entries(d)
        ]
        number = self._item.partition("-")[2]
        batches = [found[start : start + _BATCH] for start in range(0, len(found), _BATCH)]
        return Finish(
            children=[
                Child(f"{ItemKind.FILES}-{number}-{n}", {"files": batch})
                for n, batch in enumerate(batches)
            ],
            counts={"files_to_send": len(found)},
        )

    def _send(self, body: dict[str, Sequence[Sequence[object]]], *, failing: bool) -> Finish:
        return Finish(outcomes=list(_outcomes(self._item, body["files"], failing)))


def _entries(directory: str) -> Iterator[tuple[str, Entry]]:
    for n in range(_EACH):
        name = f"page-{n:03}.html"
        yield (
            name,
            Entry(12_345, hashlib.sha256(f"{directory}{name}".encode()).hexdigest(), _MODIFIED),
        )


def _outcomes(item: str, files: Sequence[Sequence[object]], failing: bool) -> Iterator[Outcome]:
    for n, (path, _local, size, modified) in enumerate(files):
        if failing and n == 0:
            facts: dict[str, object] = {"error": "refused", "reply": "550 no", "attempts": 5}
            yield Outcome(str(path), Status.FAILED, facts)
            continue
        name = f".ht{item}.1.{n:08x}"
        digest = hashlib.sha256(str(path).encode()).hexdigest()
        staged = [name, size, digest, modified, None]
        yield Outcome(str(path), Status.TRANSFERRED, {"staged": staged}, 12_345)


def _new_run(run: str) -> NewRun:
    return NewRun(run, "example", Direction.IMPORT, "u@host:21", "u@host:21/", 8, "hold", {})


def measure(files: int) -> Measured:
    """A run that is done, and one that is not, each in a ledger of its own."""
    moments: dict[bool, tuple[int, ...]] = {}
    binary = redis_binary()
    if binary is None:
        raise SystemExit("there is no Redis (Debian: apt install redis-server)")
    for complete in (True, False):
        server = RedisServer(binary)
        connection = connect(server.url)
        try:
            # Scripts, buffers and the like, which are no run's, come with the first one.
            Ledger(connection, _EACH).drive(complete=True)
            moments[complete] = Ledger(connection, files).drive(complete=complete)
        finally:
            connection.client.close()
            server.remove()
    return Measured(files, (*moments[True][:3], moments[False][-1], moments[True][-1]))


def main() -> None:
    """Print the table: bytes of Redis for each file."""
    print("\n".join(rows(_HEADER, [measure(files).cells() for files in SIZES])))


if __name__ == "__main__":
    main()
