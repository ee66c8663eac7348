"""The two sides of a plan, looked at together: the sources are walked while the server is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass, field

from scheduler.adoption import adopt_staged
from scheduler.previous import Previous, look_back
from siteferry.dispatch.sources import rules_of, source_roots
from siteferry.dispatch.work import Work
from siteferry.ftp.reading_only import reading_only
from siteferry.ftp.session import Session
from siteferry.tree.found import Scan
from siteferry.tree.name_limits import NameLimits, limits_for
from siteferry.tree.scan import scan
from siteferry.tree.selection import Selection


@dataclass(frozen=True, slots=True)
class Looked:
    """What the server has told. left_staged: files of an earlier run that stand ready; measured:
    of a dry run, the seconds of a round trip."""

    limits: NameLimits
    previous: Previous
    left_staged: int = 0
    measured: Mapping[str, float] = field(default_factory=dict)


def look_at_both(work: Work, selection: Selection) -> tuple[Looked, Scan]:
    """What the server has told, and what is in the sources; a run that is no dry run also finishes
    an open publish there, and takes over what an earlier run has staged.

    Raises:
        SiteferryError: from the server, before anything that is wrong with the sources.
    """
    with _scanning(work, selection) as scanned:
        looked = _look(work)
        return looked, scanned()


def _look(work: Work) -> Looked:
    with _session(work) as session:
        limits = limits_for(session.profile.features, session.encoding)
        previous = look_back(work, session)
        if work.options.dry_run:
            measured = {"round_trip_seconds": _round_trip_seconds(work, session)}
            return Looked(limits, previous, measured=measured)
        if work.options.purge_first:
            return Looked(limits, previous)
        return Looked(limits, previous, adopt_staged(work, session))


@contextmanager
def _scanning(work: Work, selection: Selection) -> Iterator[Callable[[], Scan]]:
    """Walk the sources in a thread of its own while the block talks to the server, which is mostly
    waiting; what is given waits for the end of it, and raises what kept it from ending."""

    def walk() -> Scan:
        with work.helping():
            roots = source_roots(work.website, work.runtime.settings)
            return selection.of(scan(roots, rules_of(work.website)))

    with ThreadPoolExecutor(1, thread_name_prefix="siteferry-scan") as thread:
        yield thread.submit(copy_context().run, walk).result


@contextmanager
def _session(work: Work) -> Iterator[Session]:
    with work.session() as session:
        if not work.options.dry_run:
            yield session
            return
        with reading_only(session):
            yield session


def _round_trip_seconds(work: Work, session: Session) -> float:
    begin = work.clock()
    session.burst(["NOOP"])
    return work.clock() - begin
