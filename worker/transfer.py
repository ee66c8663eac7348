"""File items: send a batch of files into the run's staging directory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from siteferry.dispatch.work import Work
from siteferry.errors import LeaseLost, SiteferryError
from siteferry.ftp.session import Session
from siteferry.ftp.upload import Stored, Upload, upload_files
from siteferry.ledger.items import Finish
from siteferry.publish.staging import prepare_staging, staged_name
from siteferry.run import ItemKind
from siteferry.tree.scan import FoundFile


@dataclass(frozen=True, slots=True)
class FilesStep:
    """Sends the files of one item under names that carry the item and the attempt."""

    kind: ItemKind = ItemKind.FILES
    _refused: dict[str, SiteferryError] = field(default_factory=dict)
    """Why each file that may yet succeed did not in this attempt."""

    def carry(self, work: Work) -> Finish:
        """Send what an earlier attempt has not settled. Files that may yet succeed are left without
        an outcome, and the error of the first of them is raised."""
        wanted = _unsettled(work)
        again: SiteferryError | None = None
        if wanted:
            with work.session() as session:
                _prepare(session, work)
                for upload, outcome in upload_files(session, _uploads(work, wanted), _nothing):
                    if isinstance(outcome, Stored):
                        name = upload.remote.rpartition("/")[2]
                        facts = [name, outcome.size, outcome.sha256, outcome.mtime]
                        work.transferred(upload.found.path, outcome.size, {"staged": facts})
                    elif outcome.ends_run:
                        raise outcome
                    elif outcome.transient:
                        again = again or outcome
                        self._refused[upload.found.path] = outcome
                    else:
                        work.failed(upload.found.path, outcome)
        if again is not None:
            raise again
        return Finish()

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


def _uploads(work: Work, files: list[FoundFile]) -> Iterator[Upload]:
    staging = work.base.staging(work.member.run)
    for index, file in enumerate(files):
        if work.counts_no_more:
            raise LeaseLost("the ledger has taken this attempt away")
        yield Upload(file, f"{staging}/{staged_name(work.member, work.token, index)}")


def _prepare(session: Session, work: Work) -> None:
    """Once for each session and run: the staging directory is there."""
    run = work.member.run
    if run not in session.prepared:
        prepare_staging(session, work.base, run)
        session.prepared.add(run)


def _nothing(_bytes: int) -> None:
    """Bytes on their way are a sign of life already (`Session.on_activity`)."""
