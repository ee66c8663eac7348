"""One attempt at one item while a worker carries it: its facts, its session, its signs of life."""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from siteferry.credentials.resolve import resolve_login
from siteferry.errors import (
    CredentialAbsent,
    CredentialElsewhere,
    LeaseLost,
    SiteferryError,
    SourceElsewhere,
    WorkerStops,
)
from siteferry.ftp.endpoint import Deadlines, Endpoint
from siteferry.ftp.session import Session
from siteferry.ftp.sharing import Account
from siteferry.ledger.items import Claim, Finish, Kept, Later, Outcome, Status
from siteferry.publish.staging import Base, base_of
from siteferry.run import ItemKind, Member
from siteferry.secret import Secret, redact
from siteferry.websites import Website, account
from siteferry.websites.presence import missing_sources
from siteferry.websites.run_options import RunOptions

if TYPE_CHECKING:
    from siteferry.dispatch.runtime import Runtime

LEASE_SECONDS = 4.0
"""How old the last accepted heartbeat may be for a burst to be sent. The sweeper gives an item out
again after five silent seconds, so one second is left for what is on its way."""


class Step(Protocol):
    """What one kind of item does. Steps decide nothing about trying again."""

    @property
    def kind(self) -> ItemKind:
        """Which items this step is for."""

    def carry(self, work: Work) -> Finish | Later:
        """Do the item, or a part of it and then let others go first. Raises SiteferryError; what
        `work` has recorded until then counts."""

    def give_up(self, work: Work, error: SiteferryError) -> Finish | None:
        """What the item leaves when it is not tried again; None: the whole run ends with it."""


@dataclass(slots=True)
class Pulse:
    """Signs of life of one attempt, shared between its thread and the heartbeat."""

    moved_at: float
    beaten_at: float
    deadlines_seconds: float = 0.0
    """All timeouts of the account's server together, once it has a session."""
    lost: bool = False
    hangs: bool = False
    """Its thread was found to have hung, and is told of no more."""
    outcomes: list[Outcome] = field(default_factory=list)
    parts: dict[str, Kept] = field(default_factory=dict)
    """What stands of unfinished files, by path: told again with each heartbeat."""
    further: bool = False
    """Whether some of that goes beyond all that stood before this attempt."""
    told: int = 0
    """How many of `outcomes` a heartbeat has brought to the ledger."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    telling: threading.Lock = field(default_factory=threading.Lock)
    """Held while outcomes are on their way to the ledger: an item must not be finished while the
    heartbeat still carries some of its files."""


@dataclass
class Work:
    """One claimed attempt. `facts` are the run's fields in the ledger at the time of the claim."""

    runtime: Runtime
    member: Member
    claim: Claim
    clock: Callable[[], float] = time.monotonic
    pulse: Pulse = field(init=False)
    begun: float = field(init=False)
    token: str = field(default_factory=lambda: secrets.token_hex(4))
    """In the names of what this attempt stages: a Redis that has lost its last second may give the
    same attempt out twice, what an earlier run has staged is used by a later one, and two workers
    must never write to one name."""
    threads: frozenset[int] = field(default_factory=lambda: frozenset({threading.get_native_id()}))
    """Numbers in the system of the threads that carry it: the one that makes it, and helpers."""
    _warned: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.begun = self.clock()
        self.pulse = Pulse(moved_at=self.begun, beaten_at=self.begun)

    @property
    def body(self) -> Mapping[str, Any]:
        return self.claim.body

    @property
    def kind(self) -> ItemKind:
        return ItemKind.of(self.member.item)

    @cached_property
    def options(self) -> RunOptions:
        """What the run was asked for."""
        return RunOptions.of(json.loads(self.claim.facts["options"]))

    @cached_property
    def website(self) -> Website:
        """The website as this run sees it."""
        known = self.runtime.website(self.claim.facts["site"], self.member.run, self.options.ad_hoc)
        return self.options.applied(known)

    @cached_property
    def base(self) -> Base:
        return base_of(self.website.ftp.remote_dir, self.website.ftp.staging_dir)

    # -- the session -----------------------------------------------------------------------------

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Lend a session of the website's account; its activity is this attempt's sign of life.

        Raises:
            WorkerStops: see `go_on`.
        """
        self.go_on()
        ftp_account = account_of(self.website, self.runtime)
        self.pulse.deadlines_seconds = ftp_account.endpoint.deadlines.total_seconds
        with self.runtime.pool.session(ftp_account, self._login) as session:
            session.on_activity = self.moved
            self.moved()
            yield session

    def _login(self, fresh: bool) -> tuple[str, Secret]:
        ad_hoc = self.options.ad_hoc
        try:
            login = resolve_login(self.website, self.runtime.stores, fresh=fresh)
        except CredentialAbsent as error:
            if ad_hoc is None or not ad_hoc.brought:
                raise
            # The private server is one for all commands of a user, and each has its worker.
            raise CredentialElsewhere(
                f"the password of {ad_hoc.account_text} is with the worker of another command"
            ) from error
        return login.username, login.password

    def seconds(self) -> float:
        """How long this attempt has been carried."""
        return round(self.clock() - self.begun, 3)

    # -- outcomes and signs of life --------------------------------------------------------------

    def moved(self) -> None:
        """The thread moves: heartbeats may be sent."""
        self.pulse.moved_at = self.clock()

    @contextmanager
    def helping(self) -> Iterator[None]:
        """For a second thread, of which there is one at a time: as long as one of them uses the
        processor, the attempt is not taken for hung."""
        own = frozenset({threading.get_native_id()})
        self.threads |= own
        try:
            yield
        finally:
            self.threads -= own

    def transferred(self, path: str, size: int, facts: Mapping[str, object]) -> None:
        """Record a file that stands staged; it reaches the ledger with the next heartbeat."""
        self._record(Outcome(path, Status.TRANSFERRED, facts, size))

    def failed(self, path: str, error: SiteferryError) -> None:
        """Record a file that will not be carried in this run."""
        self._record(self.failure(path, error))

    def failure(
        self, path: str, error: SiteferryError, status: Status = Status.FAILED, size: int = 0
    ) -> Outcome:
        """The outcome of a path that `error` keeps from being carried, or published."""
        text = f"{error.message}. {error.next_step}" if error.next_step else error.message
        facts = {"error": redact(text), "reply": error.reply, "attempts": self.member.attempt}
        return Outcome(path, status, facts, size)

    def _record(self, outcome: Outcome) -> None:
        self.moved()
        with self.pulse.lock:
            self.pulse.outcomes.append(outcome)
            self.pulse.parts.pop(outcome.path, None)

    def warn_once(self, about: str, text: str) -> bool:
        """Have the run's report say `text`, unless a warning `about` the same is there already:
        False then.

        Raises:
            LedgerUnreachable: Redis does not answer.
        """
        if about in self._warned:
            return False
        is_new = self.runtime.runs.warn_once(self.member.run, about, text)
        self._warned.add(about)
        return is_new

    def keep(self, part: Kept) -> None:
        """Note what stands of a file that is not finished, for a later attempt to go on with; it is
        progress if it is beyond `part.furthest`."""
        with self.pulse.lock:
            self.pulse.parts[part.path] = part
            self.pulse.further = self.pulse.further or part.offset > part.furthest

    def kept(self) -> list[Kept]:
        """What was noted of files that have no outcome."""
        with self.pulse.lock:
            return list(self.pulse.parts.values())

    def outcomes(self) -> list[Outcome]:
        """All that this attempt has settled. The end of an item tells all of it once more: a Redis
        that restarts may have lost what a heartbeat told it, and each file counts once anyway."""
        with self.pulse.lock:
            return list(self.pulse.outcomes)

    def untold(self) -> list[Outcome]:
        """Outcomes that no heartbeat has brought to the ledger yet."""
        with self.pulse.lock:
            return self.pulse.outcomes[self.pulse.told :]

    def told(self, count: int) -> None:
        """The ledger has taken `count` more of them."""
        with self.pulse.lock:
            self.pulse.told += count

    @property
    def progressed(self) -> bool:
        """Whether this attempt has settled any file, or come further with one."""
        return bool(self.pulse.outcomes) or self.pulse.further

    def check(self) -> None:
        """Raise LeaseLost when another attempt may have this item by now: called before whatever
        must not be done by two at a time, and between files."""
        silent = self.clock() - self.pulse.beaten_at
        if self.pulse.lost:
            raise LeaseLost("the ledger has taken this attempt away")
        if silent > LEASE_SECONDS:
            raise LeaseLost(f"no heartbeat was accepted for {silent:.1f} seconds")

    def go_on(self) -> None:
        """Raise WorkerStops when the process was told to stop: called where what was done so far
        can be left for another worker to begin anew."""
        if self.stops:
            raise WorkerStops(f"worker {self.runtime.node} was told to stop")

    @property
    def stops(self) -> bool:
        """Whether the process was told to stop."""
        return self.runtime.stopping.is_set()

    def check_sources(self) -> None:
        """Raise SourceElsewhere when this machine lacks the website's sources: called before they
        are looked at, and when something is missing in them, before that is believed."""
        missing = missing_sources(self.website, self.runtime.settings)
        if missing:
            raise SourceElsewhere(
                f"worker {self.runtime.node} does not have the sources of website "
                f"{self.website.name} ({', '.join(map(str, missing))})",
                next_step="Mount them there at the same path, or correct paths.workspaces of that "
                "worker.",
            )

    @property
    def counts_no_more(self) -> bool:
        """Whether the ledger has refused a heartbeat of this attempt."""
        return self.pulse.lost


def endpoint_of(website: Website) -> Endpoint:
    """The server of a website, as a session wants it."""
    ftp = website.ftp
    return Endpoint(
        host=ftp.host,
        port=ftp.port,
        security=ftp.security,
        ca_file=Path(ftp.ca_file) if ftp.ca_file else None,
        fingerprint=ftp.fingerprint,
        verify=ftp.verify,
        encoding=ftp.encoding,
        deadlines=Deadlines(ftp.timeouts.connect, ftp.timeouts.control, ftp.timeouts.data),
    )


def account_of(website: Website, runtime: Runtime) -> Account:
    """The account of a website, with its endpoint and limits, as the session pool wants it."""
    ftp, endpoint = website.ftp, endpoint_of(website)
    limit = runtime.settings.address_limits.get(ftp.host, ftp.max_connections)
    return Account(account(website), endpoint, ftp.max_connections, limit)
