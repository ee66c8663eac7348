"""Published paths: relative, `/` between segments, UTF-8 text, the empty string for the root."""

from __future__ import annotations

from siteferry.errors import ConfigurationError, PathRefused

OWN_NAME = ".htsiteferry"
"""The directory on the server in which siteferry keeps its manifest, journal and staged files."""

_RENAME = "Rename it, or exclude it."


def check_path(path: str) -> None:
    """Check that `path` can be published, or was.

    Names of siteferry's own are refused at every depth: below another website's remote directory
    they are that website's. Upper case counts as the same name, as it does for some servers.

    Raises:
        PathRefused: it holds what FTP cannot carry or what would lead elsewhere.
    """
    if fault := _fault(path):
        raise PathRefused(f"{shown(path)!r} cannot be published: {fault}", next_step=_RENAME)


def _fault(path: str) -> str | None:
    if "\n" in path or "\r" in path:
        # RFC 959, section 5.3: a line break ends the command, and the rest would be another one.
        return "FTP cannot carry a name with a line break"
    if "\0" in path:
        return "a name cannot hold a NUL"
    if not path.isascii() and not _is_utf8(path):
        return "its name is not valid UTF-8"
    if path.startswith("/"):
        return "it is absolute"
    if path:
        for segment in path.split("/"):
            if segment in ("", ".", ".."):
                return f"it has the segment {segment!r}"
            if is_own_name(segment):
                return f"{OWN_NAME} is siteferry's own name"
    return None


def _is_utf8(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_own_name(name: str) -> bool:
    """Whether one segment of a path is siteferry's own."""
    return name.lower() == OWN_NAME


def shown(path: str) -> str:
    """The path for a message: on one line, encodable, and without control characters.

    Bytes that are no UTF-8 (they come from the file system as surrogates, PEP 383) read `\\xff`.
    """
    if path.isprintable():
        return path
    return "".join(c if c.isprintable() else _escaped(c) for c in path)


def _escaped(character: str) -> str:
    if "\udc80" <= character <= "\udcff":
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")


def parents(path: str) -> tuple[str, ...]:
    """The directories above `path`, outermost first, without the root: `a`, `a/b` for `a/b/c`."""
    found = []
    at = path.find("/")
    while at >= 0:
        found.append(path[:at])
        at = path.find("/", at + 1)
    return tuple(found)


def split(path: str) -> tuple[str, str]:
    """The directory of `path` and its name in it: `('a/b', 'c')`, or `('', 'c')` in the root."""
    directory, _, name = path.rpartition("/")
    return directory, name


def join(a: str, b: str) -> str:
    """`b` below `a`; either may be the root."""
    return f"{a}/{b}" if a and b else a or b


def remote(remote_dir: str, path: str) -> str:
    """The absolute path on the server of what is published as `path`.

    Args:
        remote_dir: the website's directory on the server, absolute; `/` is possible.

    Raises:
        ConfigurationError: `remote_dir` is not absolute.
    """
    if not remote_dir.startswith("/"):
        raise ConfigurationError(
            f"the remote directory {shown(remote_dir)!r} is not absolute",
            next_step=f"Write it with a leading slash, for example '/{shown(remote_dir)}'.",
        )
    base = remote_dir.rstrip("/")
    return f"{base}/{path}" if path else base or "/"
