"""A file that is its owner's alone: mode 0600 in a folder of mode 0700, and never half of it.

A reader takes no lock: the file is only ever replaced as a whole. Who changes it holds a lock on a
file beside it (`.lock`, never removed: a lock is on the inode), which the kernel drops when its
holder dies. What a holder that died has left behind (`.part`) goes with the next change.
"""

from __future__ import annotations

import fcntl
import os
import shlex
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from siteferry.credentials.private_file_errors import closed_to_others, read_failure, write_failure
from siteferry.errors import CredentialDenied, CredentialMalformed, CredentialUnreachable

PATIENCE_SECONDS = 30.0
"""A change takes some milliseconds; this is for a queue of two hundred of them on a slow disk."""

_LONGEST_PAUSE_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class PrivateFile:
    """`path` is free of links; `what` the file is, in messages."""

    path: Path
    what: str

    @classmethod
    def at(cls, path: Path, what: str) -> PrivateFile:
        """The file itself where `path` is a link: replacing the link would leave the file."""
        return cls(Path(os.path.realpath(path)), what)

    def read(self) -> bytes | None:
        """Its content; None where there is no such file.

        Raises:
            CredentialDenied: we may not read it, or others may.
            CredentialMalformed: it is a folder, or another thing that is no file.
            CredentialUnreachable: reading it fails.
        """
        try:
            # O_NONBLOCK: a FIFO in its place must not keep us waiting.
            flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
            fd = os.open(self.path, flags)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise read_failure(error, self.path, self.what) from error
        try:
            info = os.fstat(fd)
            if not stat.S_ISREG(info.st_mode):
                raise CredentialMalformed(
                    f"the {self.what} {self.path} is not a file",
                    next_step="Name a file in the settings (credentials.file).",
                )
            self._require_private(self.path.parent.stat(), self.path.parent)
            self._require_private(info, self.path)
            with os.fdopen(fd, "rb", closefd=False) as file:
                return file.read()
        except OSError as error:
            raise read_failure(error, self.path, self.what) from error
        finally:
            os.close(fd)

    @contextmanager
    def changing(self, *, within_seconds: float = PATIENCE_SECONDS) -> Iterator[None]:
        """Hold the lock for the block; the folder is made where it is missing.

        Raises:
            CredentialDenied: the folder is open to others, or another user's.
            CredentialReadOnly: we may not write there.
            CredentialUnreachable: others held the lock for `within_seconds`, or writing fails.
        """
        folder = self.path.parent
        try:
            _make_private(folder)
            self._require_private(folder.stat(), folder)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            fd = os.open(self._beside(".lock"), flags, 0o600)
        except OSError as error:
            raise write_failure(error, self.path, self.what) from error
        try:
            self._take(fd, within_seconds)
            yield
        finally:
            # Before closing: a child that was forked meanwhile has this lock, too.
            with suppress(OSError):
                fcntl.flock(fd, fcntl.LOCK_UN)
            os.close(fd)

    def replace(self, content: bytes) -> None:
        """Put `content` in the file's place, on the disk before this returns. Needs the lock.

        Raises:
            CredentialReadOnly: we may not write there.
            CredentialUnreachable: writing fails; the file is whole all the same.
        """
        part = self._beside(".part")
        try:
            part.unlink(missing_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
            fd = os.open(part, flags, 0o600)
            with os.fdopen(fd, "wb") as file:
                os.fchmod(fd, 0o600)  # the umask may have taken more
                file.write(content)
                file.flush()
                os.fsync(fd)
            part.replace(self.path)
            _sync_folder(self.path.parent)
        except OSError as error:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            raise write_failure(error, self.path, self.what) from error

    def _beside(self, suffix: str) -> Path:
        return self.path.with_name(self.path.name + suffix)

    def _require_private(self, info: os.stat_result, path: Path) -> None:
        if info.st_uid not in (os.geteuid(), 0):
            raise CredentialDenied(
                f"{path} belongs to another user (uid {info.st_uid})",
                next_step="Run siteferry as that user, or make it yours: "
                f"chown {os.geteuid()} {shlex.quote(str(path))}",
            )
        if info.st_mode & 0o077:
            raise closed_to_others(path, info.st_mode)

    def _take(self, fd: int, within_seconds: float) -> None:
        deadline = time.monotonic() + within_seconds
        pause = 0.002
        while not _try_exclusive(fd):
            if time.monotonic() > deadline:
                raise CredentialUnreachable(
                    f"others have been changing the {self.what} {self.path} for "
                    f"{within_seconds:g} s",
                    next_step="See whether a siteferry command hangs, and end it.",
                )
            time.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE_SECONDS)


def _try_exclusive(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _make_private(folder: Path) -> None:
    lacking = [folder] if not folder.exists() else []
    while lacking and not lacking[-1].parent.exists():
        lacking.append(lacking[-1].parent)
    for missing in reversed(lacking):
        missing.mkdir(0o700, exist_ok=True)  # another process may be making it, too
        _sync_folder(missing.parent)


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
