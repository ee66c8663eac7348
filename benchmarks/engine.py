"""siteferry's engine alone, without Celery and Redis: scan, hash and send, publish.

    python -m benchmarks.engine < job.json

The job: host, port, username, password, fingerprint (null without TLS), remote_dir, tree (the local
folder), connections. One thread for each session takes files as long as there are any; then one
session publishes. Prints one JSON object; `seconds` runs from the scan's beginning to the
end of the publish. Starting the interpreter is not in it.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import itertools
import json
import re
import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from siteferry.ftp.documents import write_document
from siteferry.ftp.endpoint import Endpoint
from siteferry.ftp.profile import ServerProfile
from siteferry.ftp.session import Session
from siteferry.ftp.upload import Stored, Upload, upload_files
from siteferry.publish.carry_out import carry_out, draft_journal, place_journal
from siteferry.publish.observe import observe
from siteferry.publish.staging import (
    MANIFEST_NAME,
    Base,
    base_of,
    prepare_staging,
    staged_name,
    trash_name,
)
from siteferry.run import Member, new_run_id
from siteferry.secret import Secret
from siteferry.tree import manifest as manifests
from siteferry.tree.journal import Move
from siteferry.tree.manifest import Manifest
from siteferry.tree.publish_plan import Staged, Wanted, plan_publish
from siteferry.tree.rules import Rules
from siteferry.tree.scan import FoundFile, Scan, SourceRoot, scan

_ORDER: tuple[Literal["assets", "pages", "entry"], ...] = ("assets", "pages", "entry")
_ATTEMPT = "bench"


class EngineFailed(Exception):
    """A file was not stored or not published."""


@dataclass
class Engine:
    """One import of one tree into an empty directory.

    `session_class`: what is opened for each connection; `benchmarks/trace.py` puts its own here.
    """

    endpoint: Endpoint
    username: str
    password: Secret
    base: Base
    session_class: type[Session] = Session
    run: str = field(default_factory=lambda: new_run_id(dt.datetime.now(dt.UTC)))
    sessions: list[Session] = field(default_factory=list)
    _profile: ServerProfile = field(default_factory=ServerProfile)

    def log_in(self) -> Session:
        session = self.session_class(self.endpoint, self._profile)
        session.open(self.username, self.password)
        self.sessions.append(session)
        return session

    def transfer(self, files: list[FoundFile], connections: int) -> dict[str, Staged]:
        """Send all files to the staging directory, over so many sessions; gives what stands there
        by published path. Each session takes the next file when it is about to open it, the
        largest first, so that all of them end together."""
        staging = self.base.staging(self.run)
        member = Member(self.run, "files-0", 1)
        left = deque(
            Upload(found, f"{staging}/{staged_name(member, _ATTEMPT, index)}")
            for index, found in enumerate(sorted(files, key=lambda found: -found.size))
        )
        first = self.log_in()
        prepare_staging(first, self.base, self.run)
        sessions = min(connections, len(left))

        def work(number: int) -> dict[str, Staged]:
            session = first if number == 0 else self.log_in()
            return dict(_staged(session, _taken_from(left)))

        result: dict[str, Staged] = {}
        with ThreadPoolExecutor(sessions or 1) as threads:
            for staged in threads.map(work, range(sessions)):
                result |= staged
        return result

    def publish(self, found: Scan, staged: Mapping[str, Staged]) -> float:
        """Plan, write manifest and journal, rename, as `worker/publish.py` does; gives the seconds
        in which the site was a mixture."""
        session, base, run = self.sessions[0], self.base, self.run
        directories = frozenset(directory.path for directory in found.directories)
        wanted = Wanted(
            run, "bench", Manifest(run, "bench", frozenset(), {}), directories, dict(staged)
        )
        observed = observe(session, base, wanted.new_directories, wanted.new_files)
        plan = plan_publish(
            wanted,
            staging=base.staging(run),
            order=_ORDER,
            existing=observed.existing,
            files_in_the_way=observed.files,
            folders_in_the_way=observed.folders,
            trash_name_of=map(trash_name, itertools.count()),
        )
        content = manifests.encode(plan.manifest)
        digest = hashlib.sha256(content).hexdigest()
        journal = replace(
            plan.journal, manifest=Move(MANIFEST_NAME, MANIFEST_NAME, len(content), digest)
        )
        write_document(session, f"{base.staging(run)}/{MANIFEST_NAME}", content)
        place_journal(session, draft_journal(session, base, journal))
        published = carry_out(session, base, journal, _go_on)
        if published.failed:
            raise EngineFailed(
                f"not published: {dict(itertools.islice(published.failed.items(), 3))}"
            )
        return published.mixed_seconds


def _taken_from(left: deque[Upload]) -> Iterator[Upload]:
    while True:
        try:
            yield left.popleft()
        except IndexError:
            return


def _staged(session: Session, uploads: Iterator[Upload]) -> Iterator[tuple[str, Staged]]:
    for upload, outcome in upload_files(session, uploads):
        if not isinstance(outcome, Stored):
            raise EngineFailed(f"{upload.found.path}: {outcome}")
        name = upload.remote.rpartition("/")[2]
        yield upload.found.path, Staged(name, outcome.size, outcome.sha256, outcome.mtime)


def engine_of(job: Mapping[str, Any], session_class: type[Session]) -> Engine:
    endpoint = Endpoint(
        job["host"],
        job["port"],
        security="explicit" if job["fingerprint"] else "none",
        fingerprint=job["fingerprint"],
    )
    base = base_of(job["remote_dir"], None)
    return Engine(endpoint, job["username"], Secret(job["password"]), base, session_class)


def import_tree(job: Mapping[str, Any], session_class: type[Session] = Session) -> dict[str, float]:
    """The whole of it, with its figures by name."""
    engine = engine_of(job, session_class)
    begin = time.monotonic()
    found = scan([SourceRoot(Path(job["tree"]), "")], Rules((), ()))
    files = [file for directory in found.directories for file in directory.files]
    staged = engine.transfer(files, job["connections"])
    if len(staged) != len(files):
        raise EngineFailed(f"{len(staged)} of {len(files)} files are staged")
    transferred = time.monotonic()
    mixed_seconds = engine.publish(found, staged)
    end = time.monotonic()
    for session in engine.sessions:
        session.leave()
    return {
        "seconds": end - begin,
        "transfer_seconds": transferred - begin,
        "publish_seconds": end - transferred,
        "mixed_seconds": mixed_seconds,
        "cpu_seconds": time.process_time(),
        "peak_mib": peak_mib("self"),
        "logins": len(engine.sessions),
        "data_connections": sum(s.data_connections for s in engine.sessions),
        "sessions_reused": sum(s.data_sessions_reused for s in engine.sessions),
    }


def peak_mib(process: int | str) -> float:
    """The most memory that a process has had resident, in MiB (Linux's VmHWM; `ru_maxrss` would
    begin with that of the process that has started it)."""
    status = Path(f"/proc/{process}/status").read_text()
    found = re.search(r"^VmHWM:\s*(\d+) kB$", status, re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0


def _go_on() -> None:
    """Nobody can take the publish away."""


if __name__ == "__main__":
    print(json.dumps(import_tree(json.load(sys.stdin))))
