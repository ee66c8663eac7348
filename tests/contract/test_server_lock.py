"""The lock on the server: whoever holds it holds it alone, and a dead one is taken over."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest

from siteferry.errors import LeaseLost, RemoteDirectoryRefused, TargetHeld
from siteferry.ftp.session import Session
from siteferry.publish.carry_out import find_journal
from siteferry.publish.lock import (
    RENEWED_AFTER_SECONDS,
    SILENT_SECONDS,
    Claimant,
    FirstTry,
    Lock,
    take,
)
from siteferry.publish.staging import Base, base_of, prepare_staging
from tests.servers.base import FtpServer
from tests.servers.proxy import FtpProxy
from tests.servers.sessions import plant, session_on
from tests.virtual_time import VirtualTime

OURS = "20261124-092805-93a469"
THEIRS = "20261124-092806-0c11fe"
EARLIER = "20261101-000000-aaaaaa"


def nothing() -> None:
    pass


@dataclass
class Machine:
    """One that wants the lock, with a clock of its own."""

    session: Session
    base: Base
    run: str
    token: str = "5f0c21aa"
    patience: Callable[[str], float | None] = lambda _run: SILENT_SECONDS
    on_sleep: Callable[[], None] = nothing
    now: float = 0.0
    slept: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.on_sleep()

    def take(self, after: str | None = None) -> Lock:
        claimant = Claimant(
            self.run, self.token, self.patience, lambda: self.now, self.sleep, nothing
        )
        if after is not None:
            first = FirstTry(self.session, self.base, claimant, after)
            first.answered(self.session.burst(first.commands()))
            if first.lock is not None:
                return first.lock
        return take(self.session, self.base, claimant)


class Place:
    """A base on a server, and what stands in its lock."""

    def __init__(self, server: FtpServer, sessions: ExitStack) -> None:
        self.server, self.sessions = server, sessions
        self.base = base_of(f"{server.remote_root.rstrip('/')}/public_html", None)
        self.folder = server.root / "public_html/.htsiteferry"

    def machine(self, run: str, server: FtpServer | None = None, **changes: object) -> Machine:
        session = self.sessions.enter_context(session_on(server or self.server))
        prepare_staging(session, self.base, run)
        return Machine(session, self.base, run, **changes)  # type: ignore[arg-type]

    @property
    def entries(self) -> list[str]:
        return sorted(path.name for path in (self.folder / ".htlock").iterdir())

    def left(self, run: str) -> list[str]:
        return [path.name for path in (self.folder / run).iterdir()]


@pytest.fixture
def place(ftp_server: FtpServer) -> object:
    with ExitStack() as sessions:
        yield Place(ftp_server, sessions)


def live(_run: str) -> None:
    """What the ledger says of a run that has not ended."""


def ended(_run: str) -> float:
    """What it says of one that has."""
    return 0.0


def test_the_first_one_makes_it_and_the_next_one_is_told_who_holds_it(place: Place) -> None:
    place.machine(OURS).take()
    with pytest.raises(TargetHeld) as held:
        place.machine(THEIRS, patience=live).take(EARLIER)
    assert f"run {OURS}, begun 2026-11-24 09:28:05 UTC" in str(held.value)
    assert place.entries == [f"{OURS}.5f0c21aa.0"]
    assert place.left(THEIRS) == []


def test_who_has_planned_with_what_was_published_last_takes_it_in_one_round_trip(
    place: Place,
) -> None:
    first = place.machine(EARLIER)
    first.take().release(EARLIER)
    assert place.entries == [EARLIER]
    with FtpProxy.in_front_of(place.server) as proxy:
        ours = place.machine(OURS, place.server.through(proxy.port))
        before, commands = proxy.round_trips, len(proxy.commands)
        lock = ours.take(after=EARLIER)
        lock.keep()
        assert proxy.round_trips - before == 1, proxy.commands[commands:]
    assert lock.found == EARLIER
    assert place.entries == [f"{OURS}.5f0c21aa.0"]


def test_who_has_planned_with_something_older_is_told_by_what_was_found(place: Place) -> None:
    place.machine(THEIRS).take().release(THEIRS)
    lock = place.machine(OURS).take(after=EARLIER)
    assert lock.found == THEIRS


def test_an_ended_run_that_has_left_it_is_dead_at_once(place: Place) -> None:
    dead = place.machine(THEIRS)
    lock = dead.take()
    ours = place.machine(OURS, patience=ended)
    assert ours.take().found is None
    assert ours.slept == []
    assert place.entries == [f"{OURS}.5f0c21aa.0"]
    dead.now = RENEWED_AFTER_SECONDS
    with pytest.raises(TargetHeld, match="taken over"):
        lock.keep()
    lock.release(THEIRS)
    assert place.entries == [f"{OURS}.5f0c21aa.0"]


def test_an_unknown_one_that_shows_no_life_is_dead_when_it_was_watched_long_enough(
    place: Place,
) -> None:
    place.machine(THEIRS).take()
    ours = place.machine(OURS)
    ours.take()
    assert sum(ours.slept) == SILENT_SECONDS
    assert place.entries == [f"{OURS}.5f0c21aa.0"]


def test_an_unknown_one_that_shows_life_keeps_it(place: Place) -> None:
    theirs = place.machine(THEIRS)
    lock = theirs.take()

    def work_on() -> None:
        theirs.now += 1
        lock.keep()

    ours = place.machine(OURS, on_sleep=work_on)
    with pytest.raises(TargetHeld):
        ours.take()
    assert sum(ours.slept) == RENEWED_AFTER_SECONDS
    assert place.entries == [f"{THEIRS}.5f0c21aa.1"]


def test_it_is_taken_when_the_one_that_is_watched_gives_it_back(place: Place) -> None:
    theirs = place.machine(THEIRS).take()
    ours = place.machine(OURS, on_sleep=lambda: theirs.release(THEIRS))
    assert ours.take(EARLIER).found == THEIRS
    assert len(ours.slept) == 1


def test_another_attempt_of_the_run_goes_on_with_it_and_the_one_before_stops(place: Place) -> None:
    first = place.machine(OURS, token="aaaa0001")
    lock = first.take()
    second = place.machine(OURS, token="aaaa0002", patience=live)
    assert second.take(EARLIER).found is None
    assert place.entries == [f"{OURS}.aaaa0002.0"]
    first.now = RENEWED_AFTER_SECONDS
    with pytest.raises(LeaseLost):
        lock.keep()


def test_a_directory_that_was_left_empty_locks_nobody_out(place: Place) -> None:
    ours = place.machine(OURS)
    plant(place.server, "public_html/.htsiteferry/.htlock/")
    ours.take()
    assert place.entries == [f"{OURS}.5f0c21aa.0"]


def test_of_many_that_come_at_once_one_makes_it_or_takes_it_over(place: Place) -> None:
    """Each knows of the dead one, and that the others are alive."""
    runs = [f"20261124-10000{n}-00000{n}" for n in range(4)]

    def patience(run: str) -> float | None:
        return 0.0 if run == EARLIER else None

    machines = [place.machine(run, patience=patience) for run in runs]

    def won(machine: Machine) -> bool:
        try:
            machine.take(OURS)
        except TargetHeld:
            return False
        return True

    for before in ("nothing", "dead", "free"):
        if before == "dead":
            (place.folder / ".htlock" / place.entries[0]).rename(
                place.folder / ".htlock" / f"{EARLIER}.00.7"
            )
        elif before == "free":
            (place.folder / ".htlock" / place.entries[0]).rename(place.folder / ".htlock" / OURS)
        results = VirtualTime().together(*(lambda m=m: won(m) for m in machines))  # type: ignore[misc]
        assert sum(results) == 1, before
        winner = runs[list(results).index(True)]
        assert place.entries == [f"{winner}.5f0c21aa.0"]


def test_where_no_lock_can_be_made_it_is_an_error(place: Place, ftp_server: FtpServer) -> None:
    ours = place.machine(OURS)
    (place.folder / ".htlock").write_text("a file")
    with pytest.raises(RemoteDirectoryRefused, match="making the lock"):
        ours.take()
    assert place.left(OURS) == []


def test_a_journal_that_another_machine_removes_while_it_is_looked_at_is_none(place: Place) -> None:
    place.machine(OURS)
    plant(place.server, "public_html/.htsiteferry/.htjournal")
    journal = place.folder / ".htjournal"

    def removes(command: str) -> bool:
        if command.startswith("RETR "):
            journal.unlink()
        return False

    with FtpProxy.in_front_of(place.server) as proxy:
        ours = place.machine(OURS, place.server.through(proxy.port))
        proxy.cut_matching(removes)
        assert find_journal(ours.session, place.base) is None
    assert not journal.exists()
