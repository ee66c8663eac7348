"""Where the private server keeps its things, and who may look at them: only their owner."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from siteferry.errors import ConfigurationError

SOCKET_PATH_BYTES = 100
"""sockaddr_un.sun_path holds 108 bytes on Linux and 104 on macOS, with the final NUL."""

_ELSEWHERE = "Name another state directory, or set SITEFERRY_REDIS_URL to a Redis of your own."


@dataclass(frozen=True, slots=True)
class ServerPaths:
    """The files of one state directory. Lock files are never removed: a lock is on the inode."""

    state: Path

    @classmethod
    def of(cls, state_dir: Path) -> ServerPaths:
        """`state_dir` may be a link; every command must come to the same name for it."""
        return cls(state_dir.expanduser().resolve())

    @property
    def data(self) -> Path:
        """Directory of the append-only file."""
        return self.state / "data"

    @property
    def lock(self) -> Path:
        """Held shared by each command as long as it uses the server."""
        return self.state / "server.lock"

    @property
    def door(self) -> Path:
        """Held exclusively by who is just joining or leaving."""
        return self.state / "server.door"

    @property
    def alive(self) -> Path:
        """Held exclusively by the server process itself, from its first to its last moment."""
        return self.state / "server.alive"

    @property
    def address(self) -> Path:
        """Holds the path of the socket that the server was started with."""
        return self.state / "server.address"

    @property
    def pid(self) -> Path:
        """Written by the server, for messages to the operator."""
        return self.state / "server.pid"

    @property
    def log(self) -> Path:
        """Output of the server."""
        return self.state / "server.log"


def private_directory(path: Path) -> None:
    """Make `path` and the parents it lacks with mode 0700; an existing one must be just as closed.

    Raises ConfigurationError where it cannot be made, is a link, is another user's, or is open to
    others: whoever can put a socket there could read and forge the ledger.
    """
    lacking = [path] if not path.exists() else []
    while lacking and not lacking[-1].parent.exists():
        lacking.append(lacking[-1].parent)
    try:
        for directory in reversed(lacking):
            directory.mkdir(0o700, exist_ok=True)  # another command may be making it, too
        info = path.lstat()
    except OSError as error:
        raise ConfigurationError(
            f"the directory {path} cannot be made: {error.strerror}", next_step=_ELSEWHERE
        ) from error
    if not stat.S_ISDIR(info.st_mode):
        raise ConfigurationError(f"{path} is not a directory", next_step=_ELSEWHERE)
    if info.st_uid != os.geteuid():
        raise ConfigurationError(
            f"the directory {path} belongs to another user (uid {info.st_uid})",
            next_step=_ELSEWHERE,
        )
    if info.st_mode & 0o077:
        raise ConfigurationError(
            f"the directory {path} is open to others (mode {stat.S_IMODE(info.st_mode):04o})",
            next_step=f"Close it: chmod 700 {path}",
        )


def choose_socket(state: Path, environ: Mapping[str, str]) -> Path:
    """Give a path for the server's socket that the kernel accepts and that needs no URL quoting.

    `state` is resolved. The socket lies in it where possible, else in a directory named after it
    below $XDG_RUNTIME_DIR, else below /tmp. The directory is not made here.
    """
    inside = state / "redis.sock"
    if _fits(inside):
        return inside
    digest = _digest(state)
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    below_runtime = Path(runtime, f"siteferry-{digest}", "redis.sock")
    if _is_ours(runtime) and _fits(below_runtime):
        return below_runtime
    # The directory's owner and mode are checked before it is used (private_directory).
    return Path("/tmp", f"siteferry-{os.geteuid()}-{digest}", "redis.sock")  # noqa: S108


def recorded_socket(paths: ServerPaths) -> Path | None:
    """Give the socket path of the server started last, or None.

    Commands may differ in $XDG_RUNTIME_DIR (cron sets none), so the choice of the starter counts.
    A record that came with a copy of another state directory is not believed.
    """
    try:
        text = paths.address.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    socket = Path(text)
    digest = _digest(paths.state)
    outside = (f"siteferry-{digest}", f"siteferry-{os.geteuid()}-{digest}")
    ours = socket.parent == paths.state or socket.parent.name in outside
    return socket if ours and _fits(socket) else None


def record_socket(paths: ServerPaths, socket: Path) -> None:
    """Write down `socket` for who joins later; never half of it."""
    part = paths.address.with_suffix(".part")
    part.write_text(f"{socket}\n", encoding="utf-8")
    part.replace(paths.address)


def _fits(path: Path) -> bool:
    return len(os.fsencode(path)) <= SOCKET_PATH_BYTES and quote(str(path)) == str(path)


def _is_ours(directory: str) -> bool:
    # `sudo` may leave another user's $XDG_RUNTIME_DIR in the environment.
    try:
        info = Path(directory).stat()
    except OSError:
        return False
    closed = info.st_uid == os.geteuid() and not info.st_mode & 0o022
    return closed and Path(directory).is_absolute()


def _digest(state: Path) -> str:
    return hashlib.sha256(os.fsencode(state)).hexdigest()[:8]
