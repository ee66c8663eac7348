"""The manifest: what siteferry has published of a website, file by file.

Written as gzipped JSON lines with their own checksum (`framing`): a header, then one line for each
directory with the files in it. One directory's files also have a form of their own, for the ledger.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

from siteferry.errors import DocumentDamaged, PathRefused
from siteferry.tree.framing import pack, unpack
from siteferry.tree.paths import check_path, join, parents, split

FORMAT = "siteferry-manifest"
VERSION = 1

_SHA256 = re.compile("[0-9a-f]{64}")
_START_AFRESH = "Delete it on the server; the next import then sends the whole site again."


@dataclass(frozen=True, slots=True)
class Entry:
    """One published file: bytes and SHA-256 (hex) of what was sent, and the time that the server
    keeps for it (Unix seconds), None where it could not be set."""

    size: int
    sha256: str
    mtime: int | None


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a run has left on the server. `files` are by published path; `directories` are completed
    with the root and with every directory above another path."""

    run: str
    site: str
    directories: frozenset[str]
    files: Mapping[str, Entry]

    def __post_init__(self) -> None:
        holding = {split(path)[0] for path in self.files}
        above = {parent for path in self.directories | holding for parent in parents(path)}
        object.__setattr__(self, "directories", self.directories | holding | above | {""})


def by_directory(manifest: Manifest) -> Iterator[tuple[str, dict[str, Entry]]]:
    """Each directory, empty ones too, in the order of paths, with its files by name."""
    files = manifest.files
    inside: dict[str, list[str]] = {path: [] for path in sorted(manifest.directories)}
    for path in files:
        inside[split(path)[0]].append(path)
    for directory, paths in inside.items():
        yield directory, {split(path)[1]: files[path] for path in sorted(paths)}


def encode(manifest: Manifest) -> bytes:
    """The manifest as it is uploaded; equal manifests give equal bytes."""
    header = {
        "format": FORMAT,
        "version": VERSION,
        "run": manifest.run,
        "site": manifest.site,
        "directories": len(manifest.directories),
        "files": len(manifest.files),
    }
    parts = ({"path": path, "files": _rows(part)} for path, part in by_directory(manifest))
    return pack(chain([header], parts))


def decode(data: bytes) -> Manifest:
    """Read a manifest back; what a server gives is hostile input.

    Raises:
        DocumentDamaged: cut short, changed, of an unknown version, or with what `encode` never
            writes.
    """
    records = unpack(data, "the manifest")
    header = next(records, None)
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise DocumentDamaged(
            "what stands on the server as the manifest is none", next_step=_START_AFRESH
        )
    if header.get("version") != VERSION:
        raise DocumentDamaged(
            f"the manifest on the server has version {header.get('version')!r}, this siteferry "
            f"reads version {VERSION}",
            next_step="Use the siteferry that wrote it, or a newer one.",
        )
    try:
        return _manifest(header, records)
    except (ValueError, TypeError, KeyError, PathRefused) as error:
        raise DocumentDamaged(
            f"the manifest on the server makes no sense: {error}", next_step=_START_AFRESH
        ) from error


def encode_part(entries: Mapping[str, Entry]) -> str:
    """One directory's files by name, as compact JSON."""
    return json.dumps(_rows(entries), separators=(",", ":"), ensure_ascii=False)


def decode_part(text: str) -> dict[str, Entry]:
    """Read back what `encode_part` wrote.

    Raises:
        DocumentDamaged: it is something else.
    """
    try:
        return _entries(json.loads(text))
    except (ValueError, TypeError, PathRefused) as error:
        raise DocumentDamaged(f"a part of the manifest makes no sense: {error}") from error


def _rows(entries: Mapping[str, Entry]) -> dict[str, tuple[int, str, int | None]]:
    return {name: (e.size, e.sha256, e.mtime) for name, e in entries.items()}


def _manifest(header: Mapping[str, object], records: Iterable[object]) -> Manifest:
    directories: set[str] = set()
    files: dict[str, Entry] = {}
    for record in records:
        path, part = _part(record)
        directories.add(path)
        files.update((join(path, name), entry) for name, entry in part.items())
    if (len(directories), len(files)) != (header["directories"], header["files"]):
        raise ValueError("the counts of its header are not those of its lines")
    return Manifest(_text(header["run"]), _text(header["site"]), frozenset(directories), files)


def _part(record: object) -> tuple[str, dict[str, Entry]]:
    if not isinstance(record, dict):
        raise TypeError("a line is no object")
    path = _text(record["path"])
    check_path(path)
    return path, _entries(record["files"])


def _entries(rows: object) -> dict[str, Entry]:
    if not isinstance(rows, dict):
        raise TypeError("the files of a directory are no object")
    return {_name(name): _entry(row) for name, row in rows.items()}


def _name(name: str) -> str:
    check_path(name)
    if not name or "/" in name:
        raise ValueError(f"{name!r} is no name of a file")
    return name


def _entry(row: object) -> Entry:
    if not isinstance(row, list):
        raise TypeError("the facts of a file are no list")
    size, sha256, mtime = row
    if type(size) is not int or size < 0:  # a bool is an int, too
        raise ValueError(f"{size!r} is no size")
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        raise ValueError(f"{sha256!r} is no SHA-256")
    if mtime is not None and type(mtime) is not int:
        raise ValueError(f"{mtime!r} is no time")
    return Entry(size, sha256, mtime)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value
