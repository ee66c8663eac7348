"""A YAML or JSON file as plain values, with the line of every key.

The file is composed, not constructed: tags never make objects, and what stands in the file is
never part of an error (ruamel's own messages quote aliases, tags and both values of a repeated
key). What is wrong is told as values, so that no chained error carries a piece of the file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from siteferry.settings.nodes import KeyPath, plain_values

if TYPE_CHECKING:
    from ruamel.yaml.nodes import Node

_ADVICE = (
    ("undefined alias", "text that begins with * or & must be in quotes"),
    ("'\\t'", "indent with spaces; a tab cannot stand here"),
    ("cannot start any token", "text that begins with this character must be in quotes"),
    ("mapping values", "text with `: ` in it must be in quotes; or the indentation is wrong"),
    ("could not find expected ':'", "a `:` with a space behind it is missing"),
    ("another document", "one file describes one thing; remove the second `---`"),
    ("escape character", "in double quotes a backslash is written twice"),
    ("end of stream", "a quote or bracket that was opened is not closed"),
    ("expected ',' or", "a comma or a closing bracket is missing; in {…} quote every ${…}"),
    ("expected <block end>", "the indentation does not fit the lines above"),
    ("tag", "tags (`!…`) are not allowed; text that begins with ! must be in quotes"),
)


class _Unreadable(Exception):
    """Carries only our own words and a line (1-based; 0: unknown) out of an except block."""

    def __init__(self, line: int, message: str) -> None:
        self.line = line
        self.message = message
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Positions:
    """Where things stand in a file: the line (1-based) of every key and list item."""

    origin: str
    lines: Mapping[KeyPath, int] = field(default_factory=dict)

    def known(self, path: KeyPath) -> int:
        """How many leading parts of `path` stand in the file."""
        return next((n for n in range(len(path), 0, -1) if path[:n] in self.lines), 0)

    def line(self, path: KeyPath) -> int | None:
        """The line of `path`, or of the nearest thing around it that stands in the file."""
        return self.lines.get(path[: self.known(path)])


@dataclass(frozen=True, slots=True)
class Document:
    """A file's content. `faults` are (path, message) of what YAML allows and siteferry does not.

    A file that could not be read has `readable` False, no data, and its one fault at `()`.
    """

    positions: Positions
    data: dict[str, Any] = field(repr=False)
    faults: tuple[tuple[KeyPath, str], ...] = ()
    readable: bool = True


def shown_path(path: Path) -> str:
    """The path as a user would write it: relative where it lies below the working directory."""
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def read_document(path: Path) -> Document:
    """Read a `.yaml`, `.yml` or `.json` file; what is wrong with it stands in the faults."""
    origin = shown_path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        return _unreadable(origin, 0, f"cannot be read: {error.strerror}")
    return parse_document(content, origin, strict_json=path.suffix == ".json")


def parse_document(content: bytes, origin: str, *, strict_json: bool = False) -> Document:
    """Make plain values of a file's bytes; what is wrong with them stands in the faults."""
    try:
        text = _decode(content)
        root = _compose(_checked_json(text) if strict_json else text)
    except _Unreadable as error:
        return _unreadable(origin, error.line, error.message)
    plain = plain_values(root)
    return Document(Positions(origin, plain.lines), plain.data, tuple(plain.faults))


def _unreadable(origin: str, line: int, message: str) -> Document:
    lines: dict[KeyPath, int] = {(): line} if line else {}
    return Document(Positions(origin, lines), {}, (((), message),), readable=False)


def _decode(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
    raise _Unreadable(line, "is not UTF-8 text")


def _checked_json(text: str) -> str:
    """Check by JSON's own rules; the values are then read as YAML, which knows the lines."""
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        line, message = error.lineno, error.msg
    except RecursionError:
        line, message = 1, "is nested too deeply"
    else:
        # JSON allows tabs between tokens, and nowhere else; YAML allows them nowhere.
        return text.replace("\t", " ")
    raise _Unreadable(line, f"is not JSON: {message}")


def _compose(text: str) -> Node | None:
    # Imported here: it costs 40 ms that `siteferry --help` need not spend.
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError
    from ruamel.yaml.reader import ReaderError

    try:
        node: Node | None = YAML(typ="rt", pure=True).compose(text)
        return node
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, message = (mark.line + 1 if mark else 0), _advice(error.problem or "")
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        message = "is not YAML: a control character stands here"
    except RecursionError:
        line, message = 1, "is nested too deeply"
    except (YAMLError, ValueError):
        line, message = 0, "is not YAML"
    raise _Unreadable(line, message)


def _advice(problem: str) -> str:
    known = next((advice for part, advice in _ADVICE if part in problem), None)
    return f"is not YAML: {known}" if known else "is not YAML from here on"
