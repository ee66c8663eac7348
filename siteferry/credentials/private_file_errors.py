"""What is told about a file of ours that cannot be used. An OSError holds no content."""

from __future__ import annotations

import errno
import os
import shlex
import stat
from pathlib import Path

from siteferry.errors import (
    CredentialDenied,
    CredentialError,
    CredentialReadOnly,
    CredentialUnreachable,
)

_NOT_OURS_TO_WRITE = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


def read_failure(error: OSError, path: Path, what: str) -> CredentialError:
    """Denied where permissions are the cause, else unreachable."""
    if isinstance(error, PermissionError):
        return CredentialDenied(
            f"the {what} {path} may not be read by this user (uid {os.geteuid()})",
            next_step="Run siteferry as the user to whom it belongs.",
        )
    return CredentialUnreachable(
        f"the {what} {path} cannot be read: {error.strerror}",
        next_step="See to its disk and its path (credentials.file in the settings).",
    )


def write_failure(error: OSError, path: Path, what: str) -> CredentialError:
    """Read-only where permissions or the mount are the cause, else unreachable."""
    if error.errno in _NOT_OURS_TO_WRITE:
        return CredentialReadOnly(
            f"the {what} {path} cannot be written by this user (uid {os.geteuid()}): "
            f"{error.strerror}",
            next_step="Change entries as the user and on the machine to whom it belongs.",
        )
    return CredentialUnreachable(
        f"the {what} {path} cannot be written: {error.strerror}",
        next_step="See to its disk and its path (credentials.file in the settings).",
    )


def closed_to_others(path: Path, mode: int) -> CredentialDenied:
    """For a file or folder that others may read or write; `mode` as stat gives it."""
    name = shlex.quote(str(path))
    if stat.S_ISDIR(mode):
        close = f"chmod 700 {name} (or name a file in a folder of its own: credentials.file)"
    else:
        close = f"chmod 600 {name}"
    return CredentialDenied(
        f"{path} is open to others (mode {stat.S_IMODE(mode):04o})", next_step=f"Close it: {close}"
    )
