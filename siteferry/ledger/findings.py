"""What a run finds out before it publishes: what an earlier run has left staged, what only the
server has, and, of a dry run, what would be done."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from siteferry.ledger.connection import Connection
from siteferry.ledger.keys import LIVE_SECONDS, SWEPT_SECONDS

_ROWS_A_WRITE = 5000


@dataclass(frozen=True, slots=True)
class Findings:
    """All methods raise LedgerUnreachable; each write may be repeated."""

    connection: Connection

    def left_behind(self, target: str) -> str | None:
        """The run whose staged files the next run of this target may use."""
        key, client = self.connection.keys.left(target), self.connection.client
        return self.connection.call(lambda: client.get(key)) or None

    def leave_behind(self, target: str, run: str) -> None:
        """From now on it is this run."""
        key, client = self.connection.keys.left(target), self.connection.client
        self.connection.call(lambda: client.set(key, run, ex=LIVE_SECONDS))

    def is_swept(self, target: str) -> bool:
        """Whether some run has removed what dead ones left at this target, within a day, and every
        run since has ended well."""
        key, client = self.connection.keys.swept(target), self.connection.client
        return bool(self.connection.call(lambda: client.exists(key)))

    def note_swept(self, target: str, run: str) -> None:
        """`run` has done that now."""
        key, client = self.connection.keys.swept(target), self.connection.client
        self.connection.call(lambda: client.set(key, run, ex=SWEPT_SECONDS))

    def keep_staged(self, run: str, rows: Mapping[str, Sequence[object]]) -> None:
        """Replace what `run` may use of an earlier one: by path the name, bytes, SHA-256, time."""
        key = self.connection.keys.staged(run)
        client = self.connection.client
        self.connection.call(lambda: client.delete(key))
        self._write(key, {path: _dump(row) for path, row in rows.items()})

    def staged(self, run: str, paths: Sequence[str]) -> dict[str, list[Any]]:
        """What was kept so for those of `paths` that there is something for."""
        if not paths:
            return {}
        key, client = self.connection.keys.staged(run), self.connection.client
        texts = self.connection.call(lambda: client.hmget(key, list(paths)))
        return {p: json.loads(t) for p, t in zip(paths, texts, strict=True) if t is not None}

    def all_staged(self, run: str) -> dict[str, list[Any]]:
        """All that `run` was given of an earlier one, and what it has staged itself."""
        keys, client = self.connection.keys, self.connection.client
        given = self.connection.call(lambda: client.hgetall(keys.staged(run)))
        own = self.connection.call(lambda: client.hgetall(keys.outcomes(run)))
        rows = {path: json.loads(text) for path, text in given.items()}
        return rows | {path: json.loads(text)["staged"] for path, text in own.items()}

    def add_extras(self, run: str, extras: Mapping[str, str]) -> None:
        """Note paths that only the server has: `file` or `directory`."""
        self._write(self.connection.keys.extras(run), extras)

    def extras(self, run: str) -> dict[str, str]:
        """All paths that only the server has."""
        key, client = self.connection.keys.extras(run), self.connection.client
        return dict(self.connection.call(lambda: client.hgetall(key)))

    def add_planned(self, run: str, rows: Mapping[str, Sequence[object]]) -> None:
        """Note what a dry run would do: by path the action, bytes, and SHA-256 or None."""
        self._write(
            self.connection.keys.planned(run), {path: _dump(row) for path, row in rows.items()}
        )

    def planned(self, run: str) -> Iterator[tuple[str, list[Any]]]:
        """What a dry run would do, in no order."""
        key, client = self.connection.keys.planned(run), self.connection.client
        rows = self.connection.call(lambda: client.hgetall(key))
        for path, text in rows.items():
            yield path, json.loads(text)

    def _write(self, key: str, rows: Mapping[str, str]) -> None:
        client, items = self.connection.client, list(rows.items())

        def write(some: Sequence[tuple[str, str]]) -> None:
            with client.pipeline(transaction=True) as pipe:
                pipe.hset(key, mapping=dict(some))
                pipe.expire(key, LIVE_SECONDS)
                pipe.execute()

        for start in range(0, len(items), _ROWS_A_WRITE):
            some = items[start : start + _ROWS_A_WRITE]
            self.connection.call(partial(write, some))


def _dump(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
