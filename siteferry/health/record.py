"""The health file of a process: written once a second by a thread that does nothing else."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from siteferry.health.place import (
    RECORD_BYTES,
    SUFFIX,
    is_here,
    lives,
    pid_namespace,
    read_records,
    started_of,
)

WRITE_SECONDS = 1.0
FORGOTTEN_SECONDS = 86400.0
"""Without a write, after which a file of another container is taken for one of a dead process. If
its process lives after all, it is there again within a second."""
_MOST_REASON = 200

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Health:
    """How a process is at this moment.

    why_not_alive: what only a new start can mend; None: nothing. why_not_ready: why it can take no
    work now; None: it can. facts: numbers for whoever reads the file, of short names.
    """

    why_not_alive: str | None = None
    why_not_ready: str | None = None
    facts: Mapping[str, int | float] = field(default_factory=lambda: MappingProxyType({}))


class HealthFile:
    """Writes what `ask` says into `KIND-NODE.json`, from `start` to `close`.

    To be known as dead by its silence, a process must do nothing for it: so the thread is a daemon,
    and is the only one that asks and writes. `ask` must wait for nothing, locks that are held
    during calls to Redis included.

    A directory that cannot be made or written is warned of once, and the process goes on without a
    file: it works, and nobody can see it until a later second's try succeeds. What is written shows
    no secret, and every user may read it who gets into the directory.

        def look() -> Health:
            return Health(why_not_ready=None if scheduler.leads else "another beat holds the lock")

        health = HealthFile(settings.health_directory, "beat", node, __version__, look)
        health.start()
        try:
            scheduler.run()
        finally:
            health.close()

    Args:
        directory: made where it is missing, closed to other users.
        kind: `worker` or `beat`.
        node: a name that no other process has, and none after this one.
        version: of siteferry.
        ask: may be replaced at any time (`health.ask = ...`), by one that knows more.
    """

    def __init__(
        self, directory: Path, kind: str, node: str, version: str, ask: Callable[[], Health]
    ) -> None:
        self.ask = ask
        self._path = directory / f"{kind}-{node}{SUFFIX}"
        self._who: dict[str, object] = {
            "kind": kind,
            "node": node,
            "host": os.uname().nodename,
            "pid_namespace": pid_namespace(),
            "pid": os.getpid(),
            "started": started_of(os.getpid()) or "",
            "version": version,
        }
        self._told = threading.Event()
        self._ends = False
        self._fails = self._look_fails = self._cleared = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Write the first time, remove what dead processes have left, and go on in a thread."""
        self._try()
        self._thread = threading.Thread(target=self._run, name="siteferry-health", daemon=True)
        self._thread.start()

    def tell(self) -> None:
        """Something has changed: have it written now."""
        self._told.set()

    def close(self) -> None:
        """The process ends: remove the file. May be repeated."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._ends = True
        self._told.set()
        thread.join(WRITE_SECONDS)
        with contextlib.suppress(OSError):
            self._path.unlink()

    def _run(self) -> None:
        while True:
            self._told.wait(WRITE_SECONDS)
            self._told.clear()
            if self._ends:
                return
            self._try()

    def _try(self) -> None:
        folder = self._path.parent
        try:
            make_closed(folder)
            self._write()
            if not self._cleared:
                remove_dead(folder)
        except OSError as error:
            if not self._fails:
                _log.warning("no health file, so probes fail: %s", error)
            self._fails = True
        else:
            self._cleared, self._fails = True, False

    def _write(self) -> None:
        record = self._who | self._asked() | {"written": round(time.monotonic(), 3)}
        record["time"] = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
        content = json.dumps(record).encode().ljust(RECORD_BYTES - 1) + b"\n"
        part = self._path.with_suffix(".part")
        try:
            _write_whole(part, content, os.O_CREAT | os.O_TRUNC)
            part.replace(self._path)
        except OSError as error:
            # A full disk is no reason to seem dead: this asks for no room, and who reads at the
            # very moment may find both halves from two seconds.
            with contextlib.suppress(OSError):
                part.unlink()
            try:
                _write_whole(self._path, content, 0)
            except FileNotFoundError:
                raise error from None

    def _asked(self) -> dict[str, object]:
        try:
            health = self.ask()
        except Exception as error:  # noqa: BLE001  # the thread goes on, whatever it is
            if not self._look_fails:
                _log.exception("the look at this process failed")
            self._look_fails = True
            # Not alive would be a guess: the process may work as ever.
            health = Health(why_not_ready=f"the look at itself failed: {type(error).__name__}")
        return {
            "why_not_alive": _short(health.why_not_alive),
            "why_not_ready": _short(health.why_not_ready),
            **health.facts,
        }


def make_closed(folder: Path) -> None:
    """Make `folder` and the parents it lacks, open to their owner alone: the state directory may be
    among them, and the private server's data will lie there. What is there stays as it is."""
    if folder.is_dir():
        return
    if folder.parent != folder:
        make_closed(folder.parent)
    with contextlib.suppress(FileExistsError):
        folder.mkdir(0o700)


def remove_dead(folder: Path) -> None:
    """Remove the files of processes of this machine that have gone, and of others that nobody has
    written for a day, as far as that can be done."""
    for record in read_records(str(folder)):
        path = Path(record["path"])
        with contextlib.suppress(OSError):
            if is_here(record):
                is_dead = not lives(record)
            else:
                is_dead = time.time() - path.stat().st_mtime > FORGOTTEN_SECONDS
            if is_dead:
                path.unlink()
                path.with_suffix(".part").unlink(missing_ok=True)


def _write_whole(path: Path, content: bytes, flags: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW | flags, 0o644)
    try:
        if os.write(fd, content) != len(content):
            raise OSError(f"{path} was written in part only")
    finally:
        os.close(fd)


def _short(text: str | None) -> str | None:
    return text if text is None or len(text) <= _MOST_REASON else f"{text[:_MOST_REASON]}…"
