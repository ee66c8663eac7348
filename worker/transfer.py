"""File items: send a batch of files into the run's staging directory."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from siteferry.dispatch.work import Work
from siteferry.errors import LeaseLost, SiteferryError, SourceError
from siteferry.ftp.documents import exists
from siteferry.ftp.pacing import Pace
from siteferry.ftp.permissions import chmod_warning
from siteferry.ftp.resume import resume_upload
from siteferry.ftp.sending import Conduct, Outcome, Part, Stored, Upload
from siteferry.ftp.session import Session
from siteferry.ftp.upload import upload_files
from siteferry.ledger.items import Finish, Kept, Later
from siteferry.publish.staging import prepare_staging, staged_name
from siteferry.run import ItemKind
from siteferry.tree.scan import FoundFile


@dataclass(frozen=True, slots=True)
class FilesStep:
    """Sends the files of one item under names that carry the item and the attempt."""

    kind: ItemKind = ItemKind.FILES
    _refused: dict[str, SiteferryError] = field(default_factory=dict)
    """Why each file that may yet succeed did not in this attempt."""

    def carry(self, work: Work) -> Finish | Later:
        """Send what an earlier attempt has not settled. Files that may yet succeed are left without
        an outcome, and the error of the first of them is raised. When the task has had its time it
        lets others go first, also in the middle of a long file; and so when the worker is to stop.

        Raises:
            SourceElsewhere: it is not that a file is missing, but all of them are.
        """
        work.check_sources()
        wanted = _unsettled(work)
        left = len(wanted)
        again: SiteferryError | None = None
        if wanted:
            with work.session() as session:
                _prepare(session, work)
                for upload, outcome in _carry_files(session, work, wanted):
                    left -= 1
                    if isinstance(outcome, Stored):
                        _note(work, upload, outcome)
                    elif isinstance(outcome, Part):
                        # Kept already; the time of this task is over.
                        return Later()
                    elif outcome.ends_run:
                        raise outcome
                    elif outcome.transient:
                        again = again or outcome
                        self._refused[upload.found.path] = outcome
                    else:
                        if isinstance(outcome, SourceError):
                            work.check_sources()
                        work.failed(upload.found.path, outcome)
        if again is not None:
            raise again
        return Later() if left else Finish()

    def give_up(self, work: Work, error: SiteferryError) -> Finish:
        """Each file that is still unsettled has failed."""
        return Finish(
            outcomes=[
                work.failure(found.path, self._refused.get(found.path, error))
                for found in _unsettled(work)
            ]
        )


def _unsettled(work: Work) -> list[FoundFile]:
    files = [FoundFile(*row) for row in work.body["files"]]
    if work.member.attempt == 1 and not work.progressed:
        return files
    done = work.runtime.runs.recorded(work.member.run, [file.path for file in files])
    done |= {outcome.path for outcome in work.outcomes()}
    return [file for file in files if file.path not in done]


def _carry_files(
    session: Session, work: Work, wanted: list[FoundFile]
) -> Iterator[tuple[Upload, Outcome]]:
    """The outcomes of all files: first of those that an earlier attempt has left unfinished."""
    staging = work.base.staging(work.member.run)
    parts = _parts(work, wanted)
    if parts and exists(session, work.base.journal):
        # A ledger that has lost its last second may give out again what a publish is about to move.
        parts = {}
    conduct = _conduct(work, parts)
    names = (staged_name(work.member, work.token, index) for index in range(len(wanted)))
    uploads = [
        Upload(file, posixpath.join(staging, name), work.website.file_mode)
        for file, name in zip(wanted, names, strict=True)
    ]
    for upload in _in_time(work, [u for u in uploads if u.found.path in parts]):
        kept = parts[upload.found.path]
        part = Part(
            posixpath.join(staging, kept.name), kept.size, kept.offset, kept.sha256, kept.ended
        )
        yield upload, resume_upload(session, upload, part, conduct)
    fresh = [u for u in uploads if u.found.path not in parts]
    yield from upload_files(session, _in_time(work, fresh), conduct)


def _note(work: Work, upload: Upload, stored: Stored) -> None:
    path, name = upload.found.path, posixpath.basename(upload.remote)
    facts = [name, stored.size, stored.sha256, stored.mtime, upload.mode]
    work.transferred(path, stored.size, {"staged": facts})
    if stored.unset_mode is not None:
        work.warn_once("chmod", chmod_warning(path, stored.unset_mode))


def _parts(work: Work, wanted: list[FoundFile]) -> Mapping[str, Kept]:
    if work.member.attempt == 1:
        return {}
    return work.runtime.runs.parts(work.member.run, [file.path for file in wanted])


def _in_time(work: Work, uploads: list[Upload]) -> Iterator[Upload]:
    """The files that may still be begun: none when the attempt counts no more, or has had its time;
    an attempt begins at least one, unless the worker is to stop."""
    for number, upload in enumerate(uploads):
        _check(work)
        if work.stops or (number and _has_had_its_time(work)):
            return
        yield upload


def _has_had_its_time(work: Work) -> bool:
    return work.stops or work.seconds() >= work.runtime.settings.worker.task_seconds


def _check(work: Work) -> None:
    if work.counts_no_more:
        raise LeaseLost("the ledger has taken this attempt away")


def _conduct(work: Work, parts: Mapping[str, Kept]) -> Conduct:
    """Bytes on their way are a sign of life already (`Session.on_activity`); here they ask whether
    the attempt still counts, so that one that was taken away stops at the next chunk."""
    website = work.website
    rate = website.bandwidth / website.ftp.max_connections if website.bandwidth else None
    return Conduct(
        moved=lambda _bytes: _check(work),
        keep=lambda upload, part: work.keep(_kept(upload, part, parts)),
        yields=lambda: _has_had_its_time(work),
        remember=work.runtime.hashes.remember,
        pace=Pace(rate),
    )


def _kept(upload: Upload, part: Part, before: Mapping[str, Kept]) -> Kept:
    path, name = upload.found.path, posixpath.basename(part.remote)
    furthest = before[path].furthest if path in before else 0
    return Kept(path, name, part.size, part.offset, part.sha256, part.ended, furthest)


def _prepare(session: Session, work: Work) -> None:
    """Once for each session and run: the staging directory is there."""
    run = work.member.run
    if run not in session.prepared:
        prepare_staging(session, work.base, run)
        session.prepared.add(run)
