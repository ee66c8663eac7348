"""Names that the server cannot hold, found before anything is sent.

A server that refuses a name does so at MKD or RNTO, when everything has been sent; one that writes
another name in its place does not even then. Pure: what the server is, `name_limits` says.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

from siteferry.errors import PathRefused
from siteferry.tree.found import Failure
from siteferry.tree.name_limits import NameLimits
from siteferry.tree.paths import parents, shown, split

_Entries: TypeAlias = Mapping[str, bool]
"""Published path -> whether it is a directory."""

_RENAME = "Rename it, or exclude it."
_RENAME_ONE = "Rename or exclude one of them."


def check_names(
    directories: Iterable[str], files: Iterable[str], server: NameLimits
) -> tuple[tuple[Failure, ...], tuple[str, ...]]:
    """Failures and warnings, both sorted by path.

    A failure stands for all that lies below its path, as in a Scan: what is in a directory that
    cannot be made is not told again. Its path is as it is, not escaped.

    Args:
        directories: published paths, each with the directories above it; the root may be there.
        files: published paths.
        server: its `path_bytes` counts from the remote directory (`NameLimits.below`).
    """
    entries = dict.fromkeys(files, False)
    entries.update((path, True) for path in directories if path)
    failures: dict[str, PathRefused] = {}
    # What lies below a path comes after it.
    for path in sorted(entries):
        if failures.keys().isdisjoint(parents(path)):
            fault = _fault(path, entries[path], server)
            if fault:
                failures[path] = PathRefused(
                    f"{shown(path)!r} cannot be published: {fault}", next_step=_RENAME
                )
    warnings = []
    for path, other, how, known in _collisions(entries, server):
        if known:
            one_name = f"on {server.server} it is one name with {shown(other)!r}, which differs"
            failures.setdefault(
                path,
                PathRefused(
                    f"{shown(path)!r} cannot be published: {one_name} only in {how}",
                    next_step=_RENAME_ONE,
                ),
            )
        else:
            warnings.append(
                f"{shown(path)} differs from {shown(other)} only in {how}: if they are one name on"
                " the server, one replaces the other"
            )
    return (
        tuple((path, failures[path]) for path in sorted(failures)),
        tuple(sorted(warnings)),
    )


def _fault(path: str, is_directory: bool, server: NameLimits) -> str | None:
    """What is wrong with the path's last name, or with its length."""
    name = split(path)[1]
    try:
        encoded = path.encode(server.encoding)
    except UnicodeEncodeError as error:
        character = path[error.start]
        return (
            f"{shown(character)!r} cannot be written in {server.encoding}, which names are sent in"
        )
    if server.utf8_only and not path.isascii() and not _is_utf8(encoded):
        return f"{server.server} holds only names in UTF-8, and they are sent in {server.encoding}"
    if server.name_bytes is not None:
        length = len(name.encode(server.encoding))
        if length > server.name_bytes:
            return f"its name has {length} bytes, and {server.server} holds {server.name_bytes}"
    if server.path_bytes is not None and len(encoded) > server.path_bytes:
        return (
            f"its path has {len(encoded)} bytes, and {server.server} takes {server.path_bytes}"
            " below the remote directory"
        )
    return _shape(name, is_directory, server)


def _shape(name: str, is_directory: bool, server: NameLimits) -> str | None:
    forbidden = server.forbidden
    if is_directory:
        forbidden = forbidden | server.forbidden_in_directories
    kind = "directory" if is_directory else "name"
    for character in name:
        if character in forbidden:
            return f"{server.server} holds no {kind} with {_named(character)}"
    if name[-1] in server.forbidden_at_the_end:
        return f"{server.server} holds no name that ends with {_named(name[-1])}"
    if server.devices and name.partition(".")[0].rstrip(" ").upper() in server.devices:
        return f"{name.partition('.')[0]!r} is a device on {server.server}"
    return None


def _named(character: str) -> str:
    return "a space" if character == " " else f"'{shown(character)}'"


def _is_utf8(encoded: bytes) -> bool:
    try:
        encoded.decode()
    except UnicodeDecodeError:
        return False
    return True


def _collisions(entries: _Entries, server: NameLimits) -> list[tuple[str, str, str, bool]]:
    """Path, the earlier path that it falls together with, what they differ in, and whether the
    server is known to take them for one. Below directories that fall together, all does; that is
    told once, of the directories."""
    inside: dict[str, list[str]] = defaultdict(list)
    for path in entries:
        inside[split(path)[0]].append(path)
    found = []
    merged: set[str] = set()
    for directory in sorted(inside):
        if merged.isdisjoint((*parents(directory), directory)):
            for collision in _collisions_of(inside[directory], server):
                merged.add(collision[0])
                found.append(collision)
    return found


def _collisions_of(paths: list[str], server: NameLimits) -> Iterator[tuple[str, str, str, bool]]:
    """Those of one directory."""
    first: dict[str, str] = {}
    for path in sorted(paths):
        other = first.setdefault(_folded(path, server), path)
        if other == path:
            continue
        composed, other_composed = _composed(path), _composed(other)
        if composed == other_composed:
            how, known = "Unicode's form (NFC, NFD)", server.normalizing
        elif _without_case(path) == _without_case(other):
            how, known = "upper and lower case", server.case_insensitive
        else:
            how = "case and Unicode's form (NFC, NFD)"
            known = server.case_insensitive and server.normalizing
        yield path, other, how, bool(known)


def _folded(path: str, server: NameLimits) -> str:
    """Equal for paths that may be one on the server."""
    if server.normalizing is not False:
        path = _composed(path)
    return path if server.case_insensitive is False else _without_case(path)


def _composed(path: str) -> str:
    return path if path.isascii() else unicodedata.normalize("NFC", path)


def _without_case(path: str) -> str:
    """In upper case, letter by letter as file systems do it: `ß` is not `SS`."""
    if path.isascii():
        return path.upper()
    return "".join(upper if len(upper := letter.upper()) == 1 else letter for letter in path)
