"""One secret in one file, as container platforms mount them: text, with at most one line end."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from siteferry.errors import (
    CredentialDenied,
    CredentialError,
    CredentialMalformed,
    CredentialUnreachable,
)
from siteferry.secret import Secret

LARGEST_BYTES = 64 * 1024

_NOT_THERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG})


def read_secret_file(path: Path, what: str) -> Secret | None:
    """The text of the file without one line end at its end; None where there is no file, or a
    directory. Links are followed. `what` names the file in messages, for its path may be a secret
    that was set in place of a path.

    Raises:
        CredentialDenied: it may not be read.
        CredentialMalformed: it is no file, longer than LARGEST_BYTES, or not UTF-8 text.
        CredentialUnreachable: reading it fails.
    """
    failure: CredentialError
    try:
        content = _content(path)
        return None if content is None else Secret(_text(content))
    except PermissionError:
        failure = CredentialDenied(
            f"{what} may not be read by this user (uid {os.geteuid()})",
            next_step="Give this process's user the right to read it.",
        )
    except OSError as error:
        if error.errno in _NOT_THERE:
            return None
        failure = CredentialUnreachable(
            f"{what} cannot be read: {error.strerror}", next_step="See to its disk or its mount."
        )
    except ValueError:  # not UTF-8, too long, or a NUL in the path
        failure = CredentialMalformed(
            f"{what} is not a file of UTF-8 text, at most {LARGEST_BYTES} bytes long",
            next_step="Write the value into it anew.",
        )
    # Raised here, so that no chained error carries what it failed on: the content, or the path.
    raise failure


def _content(path: Path) -> bytes | None:
    # O_NONBLOCK: a FIFO in its place must not keep us waiting.
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        mode = os.fstat(fd).st_mode
        if stat.S_ISDIR(mode):
            return None
        if not stat.S_ISREG(mode):
            raise ValueError
        with os.fdopen(fd, "rb", closefd=False) as file:
            return file.read(LARGEST_BYTES + 1)
    finally:
        os.close(fd)


def _text(content: bytes) -> str:
    if len(content) > LARGEST_BYTES:
        raise ValueError
    return content.decode().removesuffix("\n").removesuffix("\r")
