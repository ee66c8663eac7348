"""Runs: started once for a target, looked at as snapshots, with what the plan leaves for later."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from types import MappingProxyType
from typing import Any

from siteferry.errors import ClockAhead, TargetHeld, UnknownRun
from siteferry.ledger.connection import Connection
from siteferry.ledger.items import Kept, members
from siteferry.ledger.keys import LIVE_SECONDS, target_digest
from siteferry.ledger.schedules import Due
from siteferry.run import Direction, FileFailure, Member, RunFailure, RunState, Snapshot

_MOST_FAILURES = 10_000
_WARNING = "warning:"
"""Begins the fields of a run that hold a warning; `warn` keeps those of the plan elsewhere."""
_ROWS_AT_ONCE = 250
_DEALT_WITH = 2
_AHEAD = 3


@dataclass(frozen=True, slots=True)
class NewRun:
    """What a producer says of a run: no secret, no source, only names and options. `version` is
    that of its siteferry."""

    run: str
    site: str
    direction: Direction
    account: str
    target: str
    connections: int
    on_failure: str
    options: Mapping[str, Any]
    version: str = ""


@dataclass(frozen=True, slots=True)
class Runs:
    """The ledger's side of what producers and reports do. All methods raise LedgerUnreachable."""

    connection: Connection

    def start(self, new: NewRun) -> list[Member]:
        """Enter a run with its plan item; gives what may be sent now.

        Raises:
            TargetHeld: another run holds the target.
        """
        return self._start(new) or []

    def start_due(self, new: NewRun, due: Due) -> list[Member] | None:
        """As `start`, once for each due time of a schedule: None where it has been dealt with.

        Raises:
            TargetHeld: another run holds the target. `due` is skipped, or waits to be tried again.
            ClockAhead: `due` lies AHEAD_SECONDS ahead of Redis' clock; nothing is done.
        """
        return self._start(new, due)

    def _start(self, new: NewRun, due: Due | None = None) -> list[Member] | None:
        fields = {
            "site": new.site,
            "direction": new.direction.value,
            "on_failure": new.on_failure,
            "options": json.dumps(new.options),
            "version": new.version,
            "dry_run": int(bool(new.options.get("dry_run"))),
            "ad_hoc": int("ad_hoc" in new.options),
            "keep_seconds": self.connection.keep_seconds,
            **({} if due is None else {"due": due.at}),
        }
        overlap = "queue" if due is not None and due.queues else "skip"
        ok, answer = self.connection.run_script(
            "start",
            new.run,
            target_digest(new.target),
            new.account,
            new.connections,
            "{}",
            json.dumps(fields),
            *(() if due is None else (due.site, due.at, due.times, overlap)),
        )
        if ok == _DEALT_WITH:
            return None
        if ok == _AHEAD:
            raise ClockAhead(
                f"a run of {new.site} is due far ahead of Redis' clock",
                next_step="Set the clocks of this machine and of Redis' right.",
            )
        if not ok:
            raise TargetHeld(
                f"run {answer} holds the target of {new.site}",
                run=answer,
                next_step=f"Wait for it (siteferry watch {answer}), then start again.",
            )
        return members(answer)

    def state(self, run: str) -> RunState | None:
        """The state of a run, None when the ledger does not know it."""
        key = self.connection.keys.run(run)
        text = self.connection.call(lambda: self.connection.client.hget(key, "state"))
        return RunState(text) if text else None

    def options(self, run: str) -> dict[str, Any]:
        """What the run was asked for, as `NewRun.options` said."""
        key = self.connection.keys.run(run)
        text = self.connection.call(lambda: self.connection.client.hget(key, "options"))
        return dict(json.loads(text)) if text else {}

    def latest(self, most: int = 50) -> list[str]:
        """The newest runs, newest first."""
        key = self.connection.keys.runs()
        return list(
            self.connection.call(lambda: self.connection.client.zrevrange(key, 0, most - 1))
        )

    def live(self) -> int:
        """How many runs have not ended."""
        key, client = self.connection.keys.live(), self.connection.client
        return int(self.connection.call(lambda: client.scard(key)))

    def set_fields(self, run: str, fields: Mapping[str, str | int | float]) -> None:
        """Write facts of a run that no item's end depends on; of one that goes on, no other."""
        self.connection.run_script("note", run, json.dumps(dict(fields)), 0)

    def warn(self, run: str, texts: Sequence[str]) -> None:
        """Replace the warnings of the run's plan."""
        if texts:
            self._replace_list(self.connection.keys.warnings(run), texts)

    def warn_once(self, run: str, about: str, text: str) -> bool:
        """Add a warning, unless the run has one `about` the same (False): several workers may have
        it."""
        fields = json.dumps({f"{_WARNING}{about}": text})
        return bool(self.connection.run_script("note", run, fields, 1))

    def snapshot(self, run: str, *, details: bool = True) -> Snapshot:
        """What the ledger knows of a run now; without `details` no failures, workers, warnings.

        Raises:
            UnknownRun: it never was, or has expired.
        """
        keys, client = self.connection.keys, self.connection.client

        def read() -> list[Any]:
            with client.pipeline(transaction=True) as pipe:
                pipe.hgetall(keys.run(run))
                pipe.time()
                if details:
                    pipe.hscan(keys.failures(run), count=_MOST_FAILURES)
                    pipe.hgetall(keys.workers(run))
                    pipe.lrange(keys.warnings(run), 0, 999)
                return list(pipe.execute())

        answer = self.connection.call(read)
        facts: dict[str, str] = answer[0]
        if not facts:
            raise UnknownRun(
                f"the ledger knows no run {run}", next_step="siteferry runs lists those it knows."
            )
        seconds, micros = answer[1]
        failures = answer[2][1] if details else {}
        return _snapshot(
            run,
            facts,
            now=seconds + micros / 1e6,
            failures=failures,
            workers=answer[3] if details else {},
            warnings=[*answer[4], *_warnings(facts)] if details else [],
        )

    def snapshots(self, runs: Sequence[str]) -> dict[str, Snapshot]:
        """What the ledger knows now of each of `runs`, without details; what it does not know is
        absent. Hundreds are one question and one answer."""
        keys = self.connection.keys
        found: dict[str, Snapshot] = {}
        for start in range(0, len(runs), _ROWS_AT_ONCE):
            some = runs[start : start + _ROWS_AT_ONCE]
            now, answers = self.connection.hashes([keys.run(run) for run in some])
            for run, facts in zip(some, answers, strict=True):
                if facts:
                    found[run] = _snapshot(run, facts, now=now)
        return found

    # -- what the plan leaves for the items that follow --------------------------------------------

    def keep_plan(
        self, run: str, previous: Iterable[tuple[str, str]], tree: Mapping[str, object]
    ) -> None:
        """Keep the last manifest by directory, and the directories, for compare and publish. The
        manifest is taken and written in slices, so it is whole only when this has ended."""
        keys, client = self.connection.keys, self.connection.client
        key, parts = keys.previous(run), iter(previous)
        self.connection.call(lambda: client.delete(key))
        while some := dict(islice(parts, _ROWS_AT_ONCE)):
            self._write_some(key, some)
        text = json.dumps(tree)
        self.connection.call(lambda: client.set(keys.tree(run), text, ex=LIVE_SECONDS))

    def previous_parts(self, run: str, directories: Sequence[str]) -> dict[str, str]:
        """The last manifest's parts for these directories; one that it did not know is absent."""
        if not directories:
            return {}  # Redis refuses a question for nothing
        return dict(self._some(self.connection.keys.previous(run), directories))

    def keep_part(self, run: str, directory: str, text: str) -> None:
        """Replace the last manifest's part for one directory by what was found to stand there."""
        self._write_some(self.connection.keys.previous(run), {directory: text})

    def all_previous_parts(self, run: str) -> Iterator[tuple[str, str]]:
        """The whole last manifest by directory."""
        return self._rows(self.connection.keys.previous(run))

    def tree(self, run: str) -> dict[str, Any]:
        """What `keep_plan` kept as the tree."""
        key, client = self.connection.keys.tree(run), self.connection.client
        text = self.connection.call(lambda: client.get(key))
        return dict(json.loads(text)) if text else {}

    def outcomes(self, run: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Every transferred path with its facts."""
        for path, text in self._rows(self.connection.keys.outcomes(run)):
            yield path, json.loads(text)

    def recorded(self, run: str, paths: Sequence[str]) -> set[str]:
        """Those of `paths` that have an outcome already, good or bad."""
        keys, client = self.connection.keys, self.connection.client

        def read() -> list[Any]:
            with client.pipeline(transaction=False) as pipe:
                pipe.hmget(keys.outcomes(run), list(paths))
                pipe.hmget(keys.failures(run), list(paths))
                return list(pipe.execute())

        good, bad = self.connection.call(read)
        return {
            p for p, g, b in zip(paths, good, bad, strict=True) if g is not None or b is not None
        }

    def failures(self, run: str, paths: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Those of `paths` that have failed, with what `Outcome.facts` said."""
        rows = self._some(self.connection.keys.failures(run), paths)
        return {path: json.loads(text) for path, text in rows}

    def parts(self, run: str, paths: Sequence[str]) -> dict[str, Kept]:
        """What stands on the server of those of `paths` that are not finished."""
        rows = self._some(self.connection.keys.parts(run), paths)
        return {path: Kept(path, *json.loads(text)) for path, text in rows}

    def _rows(self, key: str) -> Iterator[tuple[str, str]]:
        """All of a hash, a slice at a time. The slices are those of its fields: HSCAN's cursor
        leads elsewhere, without a word, once Redis was restarted."""
        client = self.connection.client
        fields = self.connection.call(lambda: client.hkeys(key))
        for start in range(0, len(fields), _ROWS_AT_ONCE):
            yield from self._some(key, fields[start : start + _ROWS_AT_ONCE])

    def _some(self, key: str, fields: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Those of `fields` that the hash has, with what stands there."""
        client = self.connection.client
        texts = self.connection.call(lambda: client.hmget(key, list(fields)))
        return ((f, text) for f, text in zip(fields, texts, strict=True) if text is not None)

    def _write_some(self, key: str, rows: Mapping[str, str]) -> None:
        client = self.connection.client

        def write() -> None:
            with client.pipeline(transaction=True) as pipe:
                pipe.hset(key, mapping=dict(rows))
                pipe.expire(key, LIVE_SECONDS)
                pipe.execute()

        self.connection.call(write)

    def _replace_list(self, key: str, values: Sequence[str]) -> None:
        client = self.connection.client

        def write() -> None:
            with client.pipeline(transaction=True) as pipe:
                pipe.delete(key)
                pipe.rpush(key, *values)
                pipe.expire(key, LIVE_SECONDS)
                pipe.execute()

        self.connection.call(write)


def _warnings(facts: Mapping[str, str]) -> list[str]:
    return [text for field, text in sorted(facts.items()) if field.startswith(_WARNING)]


def _snapshot(
    run: str,
    facts: Mapping[str, str],
    *,
    now: float,
    failures: Mapping[str, str] = MappingProxyType({}),
    workers: Mapping[str, str] = MappingProxyType({}),
    warnings: Sequence[str] = (),
) -> Snapshot:
    def number(name: str) -> int:
        return int(facts.get(name, "0"))

    def seconds(name: str) -> float | None:
        return float(facts[name]) if name in facts else None

    return Snapshot(
        run=run,
        site=facts["site"],
        direction=Direction(facts["direction"]),
        state=RunState(facts["state"]),
        created=float(facts["created"]),
        now=now,
        started=seconds("started"),
        ended=seconds("ended"),
        due=seconds("due"),
        publishing_since=seconds("publishing_since"),
        planned="planned" in facts,
        comparing=number("comparing"),
        files_found=number("files_found"),
        bytes_found=number("bytes_found"),
        files_to_send=number("files_to_send"),
        bytes_to_send=number("bytes_to_send"),
        transferred=number("transferred"),
        transferred_bytes=number("transferred_bytes"),
        part_bytes=number("part_bytes"),
        skipped=number("skipped"),
        failed=number("failed"),
        deleted=number("deleted"),
        dirs_created=number("dirs_created"),
        publish_seconds=seconds("publish_seconds"),
        adopted=number("adopted"),
        retries=number("retries"),
        round_trip_seconds=seconds("round_trip_seconds"),
        error=RunFailure(**json.loads(facts["error"])) if "error" in facts else None,
        failures=tuple(
            FileFailure(path=path, **json.loads(text)) for path, text in sorted(failures.items())
        ),
        warnings=tuple(warnings),
        workers={node: int(count) for node, count in sorted(workers.items())},
    )
