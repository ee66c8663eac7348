"""What is wrong in a configuration file: where, and what would be right. Never a value of it.

Values may be passwords that slipped to another key, so no text here is made from one: messages
are constants, chosen by the kind of the error, plus names of keys that look like names.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from siteferry.errors import ConfigurationError
from siteferry.settings.nodes import KeyPath

Locate = Callable[[KeyPath], tuple[str, int | None, KeyPath]]
"""Gives for a path of the checked data: the file, its line (1-based), and the path as written."""

_KEY_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,39}")
_LOGIN_KEYS = frozenset({"username", "password"})
_UNNAMED = "(a key)"

_SAID = {
    "missing": "is required",
    "string_type": "must be text: put it in quotes",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing_size": "must be a smaller number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "model_type": "must be a mapping: `key: value` lines, indented below it",
    "model_attributes_type": "must be a mapping: `key: value` lines, indented below it",
    "dict_type": "must be a mapping: `key: value` lines, indented below it",
    "mapping_type": "must be a mapping: `key: value` lines, indented below it",
    "tuple_type": "must be a list: `[first, second]` or one `- item` on each line below it",
    "list_type": "must be a list: `[first, second]` or one `- item` on each line below it",
    "path_type": "must be a path, as text",
    "too_short": "must not be empty",
    "string_too_short": "must not be empty",
}
_LIMITS = {
    "greater_than": ("must be greater than {gt}", "gt"),
    "greater_than_equal": ("must be {ge} or more", "ge"),
    "less_than": ("must be less than {lt}", "lt"),
    "less_than_equal": ("must be {le} or less", "le"),
    "literal_error": ("must be {expected}", "expected"),
}
OWN_ERROR = "siteferry"
"""The type of the errors that our own validators raise; only their messages are passed on."""


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing to mend. `key` is the path of the key in the file; `line` is 1-based."""

    file: str
    line: int | None
    key: str
    message: str

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{place}: {self.key}: {self.message}" if self.key else f"{place}: {self.message}"


def configuration_error(problems: Iterable[Problem]) -> ConfigurationError:
    """One error that tells all problems, a line each, in the order of the file."""
    ordered = sorted(set(problems), key=lambda p: (p.file, p.line or 0, p.key, p.message))
    return ConfigurationError("\n".join(str(problem) for problem in ordered))


def key_text(path: KeyPath) -> str:
    """`sources[0].path`; what stands below a login key, or is no name, is left out."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
            continue
        name = part if _KEY_NAME.fullmatch(part) else _UNNAMED
        text += f".{name}" if text else name
        if part in _LOGIN_KEYS:
            break
    return text


def problem_at(path: KeyPath, message: str, locate: Locate) -> Problem:
    file, line, written = locate(path)
    return Problem(file, line, key_text(written), message)


def problems_of(
    error: ValidationError, model: type[BaseModel], locate: Locate, silent: Iterable[KeyPath] = ()
) -> list[Problem]:
    """Translate what pydantic found; paths at or below one of `silent` were reported before."""
    muted = tuple(silent)
    found = []
    details = error.errors(include_url=False, include_input=False)
    for detail in details:
        path: KeyPath = detail["loc"]
        if any(path[: len(other)] == other for other in muted):
            continue
        if detail["type"] == "too_short" and any(_is_below(d["loc"], path) for d in details):
            continue  # pydantic counts only the items that are right
        found.append(problem_at(path, _message(detail["type"], detail, path, model), locate))
    return found


def _is_below(path: KeyPath, above: KeyPath) -> bool:
    return len(path) > len(above) and path[: len(above)] == above


def _message(kind: str, detail: Any, path: KeyPath, model: type[BaseModel]) -> str:
    if kind == OWN_ERROR:
        return str(detail["msg"])
    if kind == "extra_forbidden":
        return _unknown_key(str(path[-1]), known_keys(model, path[:-1]))
    if kind in _LIMITS:
        template, name = _LIMITS[kind]
        return template.format(**{name: detail["ctx"][name]})
    # Other messages of pydantic may quote the input, so they are not passed on.
    return _SAID.get(kind, "is not as it must be")


def _unknown_key(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.6)
    if near:
        return f"is not a known key; did you mean {near[0]}?"
    return f"is not a known key; known here: {', '.join(known)}"


def known_keys(model: type[BaseModel], path: KeyPath) -> list[str]:
    """The keys that the model has at `path`, as they are written in the file."""
    current: type[BaseModel] | None = model
    for part in path:
        if current is None:
            return []
        if isinstance(part, int):
            continue
        current = next(
            (
                _model_in(field.annotation)
                for name, field in current.model_fields.items()
                if (field.alias or name) == part
            ),
            None,
        )
    if current is None:
        return []
    return sorted(field.alias or name for name, field in current.model_fields.items())


def without_nulls(data: Any, model: type[BaseModel], path: KeyPath = ()) -> Any:
    """Leave out the known keys that have no value: `redis:` with nothing below it means the
    defaults. Unknown ones stay, to be told."""
    if isinstance(data, list):
        return [without_nulls(value, model, (*path, n)) for n, value in enumerate(data)]
    if not isinstance(data, dict):
        return data
    known = known_keys(model, path)
    return {
        key: without_nulls(value, model, (*path, key))
        for key, value in data.items()
        if value is not None or key not in known
    }


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part))), None)
