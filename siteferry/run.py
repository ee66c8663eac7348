"""Facts about runs that every layer shares: states, kinds of items, outcomes, snapshots."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Direction(StrEnum):
    IMPORT = "import"
    EXPORT = "export"


class RunState(StrEnum):
    QUEUED = "queued"
    PLANNING = "planning"
    TRANSFERRING = "transferring"
    PUBLISHING = "publishing"
    DONE = "done"
    INCOMPLETE = "incomplete"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        return self in _ENDED


_ENDED = frozenset({RunState.DONE, RunState.INCOMPLETE, RunState.FAILED, RunState.CANCELLED})


class ItemKind(StrEnum):
    """What an item asks for; its id begins with the kind: `files-3-0`, `directory-12`, `plan`."""

    PLAN = "plan"
    DIRECTORY = "directory"
    FILES = "files"
    PUBLISH = "publish"

    @classmethod
    def of(cls, item_id: str) -> ItemKind:
        return cls(item_id.partition("-")[0])


@dataclass(frozen=True, slots=True)
class Member:
    """One attempt at one item of one run: what a message carries and what a window holds.

    `site` and `label` (which directory, which files) are for people who look at the tasks, and
    `node` names the worker process in whose own queue it goes; where they are not known they are
    empty, and two members are the same without regard to them.
    """

    run: str
    item: str
    attempt: int
    site: str = field(default="", compare=False)
    label: str = field(default="", compare=False)
    node: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"{self.run} {self.item} {self.attempt}"

    @classmethod
    def parse(cls, text: str) -> Member:
        run, item, attempt = text.split(" ")
        return cls(run, item, int(attempt))


class Ending(StrEnum):
    """How one attempt ended: its item is done; it goes on, or is tried again, as the next attempt;
    it was given up, or files of it failed; it was not ours to do, and nothing was done."""

    DONE = "done"
    AGAIN = "again"
    FAILED = "failed"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of one attempt, for people who look at the tasks; the ledger knows it already.

    `text` is a line; `details` are lines, such as the files that failed. `delay_seconds` until the
    next attempt may begin.
    """

    ending: Ending
    text: str
    details: tuple[str, ...] = ()
    delay_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class FileFailure:
    """One path that was not carried, with the server's own line where there is one."""

    path: str
    error: str
    reply: str | None = None
    attempts: int = 1


@dataclass(frozen=True, slots=True)
class RunFailure:
    """Why a run as a whole ended badly; `kind` names the class in `siteferry.errors`."""

    kind: str
    message: str
    reply: str | None
    next_step: str
    exit_code: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the ledger knows of one run at one moment. Counts are files unless the name says bytes.

    `files_found` and `bytes_found` are what the scan saw; `files_to_send` and `bytes_to_send` what
    comparison has asked for so far, final once `comparing` is 0 and `planned` is true. `part_bytes`
    is what stands of files that are not finished, and not in `transferred_bytes`. `adopted` are
    those of `transferred` that an earlier run had sent, and that were used as they stood. `retries`
    are attempts at items that were given out again: after an error, because the worker had died, or
    for want of the sources. Only a dry run measures the `round_trip_seconds` to the host. `due` is
    the time of the schedule that has started it, if one has. `run` is empty where none could be
    started, which `error` explains.
    Times are Unix seconds of the ledger's clock.
    """

    run: str
    site: str
    direction: Direction
    state: RunState
    created: float
    now: float
    started: float | None = None
    ended: float | None = None
    due: float | None = None
    publishing_since: float | None = None
    planned: bool = False
    comparing: int = 0
    files_found: int = 0
    bytes_found: int = 0
    files_to_send: int = 0
    bytes_to_send: int = 0
    transferred: int = 0
    transferred_bytes: int = 0
    part_bytes: int = 0
    skipped: int = 0
    failed: int = 0
    deleted: int = 0
    dirs_created: int = 0
    publish_seconds: float | None = None
    adopted: int = 0
    retries: int = 0
    round_trip_seconds: float | None = None
    error: RunFailure | None = None
    failures: tuple[FileFailure, ...] = ()
    warnings: tuple[str, ...] = ()
    workers: Mapping[str, int] = field(default_factory=dict)

    @property
    def moved_bytes(self) -> int:
        """Bytes that are on the server, of whole files and of parts."""
        return self.transferred_bytes + self.part_bytes

    @property
    def seconds(self) -> float:
        begin = self.started if self.started is not None else self.created
        return max(0.0, (self.ended if self.ended is not None else self.now) - begin)


def new_run_id(now: dt.datetime) -> str:
    """A name that sorts by time and is unique: `20260131-154502-9f2c1a` (UTC)."""
    return f"{now.astimezone(dt.UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
