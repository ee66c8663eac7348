"""The publish journal: everything that a publish will do, written to the server before it begins.

Whoever finds it there can finish the publish from it alone. All paths are relative to the website's
remote directory, `staged` and `trash` names to the run's staging directory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from siteferry.errors import DocumentDamaged, PathRefused
from siteferry.tree.framing import pack, unpack
from siteferry.tree.paths import check_path

FORMAT = "siteferry-journal"
VERSION = 3
_READABLE = (1, 2, 3)
"""Version 1 had no `empty`, 1 and 2 had no `directory_mode`."""
_ALL_BITS = 0o777


@dataclass(frozen=True, slots=True)
class Move:
    """A staged file and its place: `size` in bytes, `sha256` in hex of what was sent."""

    staged: str
    target: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class PutAside:
    """Something live that is renamed into the run's trash."""

    path: str
    trash: str


@dataclass(frozen=True, slots=True)
class Journal:
    """One publish, in the order in which it is carried out, field by field.

    `clear` makes room where a file becomes a directory or the reverse; `classes` are the renames
    with a barrier between one class and the next; `remove` is what the user asked to delete, and
    `empty` the directories that go with it unless something else is in them, children first;
    `manifest` replaces the old manifest last, under its own staged name. `directory_mode` is what
    permission bits `directories` get, None what the server gives them.
    """

    run: str
    site: str
    staging: str
    clear: tuple[PutAside, ...]
    directories: tuple[str, ...]
    classes: tuple[tuple[Move, ...], ...]
    remove: tuple[PutAside, ...]
    manifest: Move
    empty: tuple[str, ...] = ()
    directory_mode: int | None = None

    @property
    def moves(self) -> tuple[Move, ...]:
        return tuple(move for group in self.classes for move in group)


def encode(journal: Journal) -> bytes:
    """The journal as it is uploaded, with its own checksum."""
    header = {
        "format": FORMAT,
        "version": VERSION,
        "run": journal.run,
        "site": journal.site,
        "staging": journal.staging,
        "directory_mode": journal.directory_mode,
    }
    return pack(
        [
            header,
            ([aside.path, aside.trash] for aside in journal.clear),
            iter(journal.directories),
            *(map(_row, group) for group in journal.classes),
            ([aside.path, aside.trash] for aside in journal.remove),
            iter(journal.empty),
            _row(journal.manifest),
        ]
    )


def decode(data: bytes) -> Journal:
    """Read a journal back.

    Raises:
        DocumentDamaged: cut short, changed, of an unknown version, or with paths that lead astray.
    """
    records = list(unpack(data, "the publish journal"))
    header = records[0] if records else None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise DocumentDamaged("what stands on the server as the publish journal is none")
    version = header.get("version")
    if version not in _READABLE:
        raise DocumentDamaged(
            "the publish journal was written by another version of siteferry",
            next_step="Run the import with the version that began the publish, or a newer one.",
        )
    try:
        if version == 1:
            records.insert(-1, [])
        clear, directories, *classes, remove, empty, manifest = records[1:]
        journal = Journal(
            run=str(header["run"]),
            site=str(header["site"]),
            staging=str(header["staging"]),
            clear=tuple(PutAside(path, trash) for path, trash in _rows(clear)),
            directories=tuple(_rows(directories)),
            classes=tuple(tuple(Move(*row) for row in _rows(group)) for group in classes),
            remove=tuple(PutAside(path, trash) for path, trash in _rows(remove)),
            manifest=Move(*_rows(manifest)),
            empty=tuple(_rows(empty)),
            directory_mode=_mode(header.get("directory_mode")),
        )
        _check(journal)
    except (ValueError, TypeError, KeyError, PathRefused) as error:
        raise DocumentDamaged("the publish journal on the server makes no sense") from error
    return journal


def _row(move: Move) -> list[object]:
    return [move.staged, move.target, move.size, move.sha256]


def _rows(record: object) -> Sequence:  # type: ignore[type-arg]  # JSON: checked by what is built
    if not isinstance(record, list):
        raise TypeError("a list was expected")
    return record


def _mode(value: object) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or not 0 <= value <= _ALL_BITS:
        raise ValueError("no permission bits")
    return value


def _check(journal: Journal) -> None:
    names = [name for move in journal.moves for name in (move.target, move.staged)]
    names += [n for aside in (*journal.clear, *journal.remove) for n in (aside.path, aside.trash)]
    for name in (*names, *journal.directories, *journal.empty):
        check_path(name)
        if not name:
            raise PathRefused("the website's own root is no place for a file")
