"""`${VAR}` and `${VAR:-default}` in the texts of a configuration file; `$${` is a plain `${`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from siteferry.errors import ConfigurationError
from siteferry.settings.nodes import KeyPath
from siteferry.settings.references import mentions_credential

_PLACE = re.compile(r"\$\$\{|\$\{(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\})?")


class NotExpandable(Exception):
    """Says, in our own words, why a text cannot be expanded."""


def expand(text: str, environ: Mapping[str, str]) -> str:
    """Put the environment's values in place of the variables.

    As in a shell, `:-default` stands for a variable that is unset or empty.

    Raises:
        NotExpandable: a variable is unset and has no default, or a `${` begins no variable.
    """
    unset = unset_variables(text, environ)
    if unset:
        names = " and ".join(unset)
        verb = "are" if len(unset) > 1 else "is"
        raise NotExpandable(
            f"the environment variable {names} {verb} not set; set it, or write ${{NAME:-default}}"
        )
    return _PLACE.sub(lambda place: _value(place, environ), text)


def unset_variables(text: str, environ: Mapping[str, str]) -> tuple[str, ...]:
    """The names of the variables in `text` that are unset and have no default.

    Raises:
        NotExpandable: a `${` in the text begins no variable.
    """
    missing = []
    for place in _PLACE.finditer(text):
        if place[0] == "$${":
            continue
        name = place["name"]
        if name is None:
            raise NotExpandable(
                "after `${` must come NAME} or NAME:-default}; a plain `${` is written `$${`"
            )
        if name not in environ and place["default"] is None:
            missing.append(name)
    return tuple(dict.fromkeys(missing))


def expand_tree(
    data: Any, environ: Mapping[str, str], keep: Callable[[KeyPath, str], bool]
) -> tuple[Any, list[tuple[KeyPath, str]]]:
    """Expand every text of a document except those that `keep` names by path and text.

    Gives the new document and what was wrong in it, as (path, message). A text that cannot be
    expanded is left out: it becomes None.
    """
    faults: list[tuple[KeyPath, str]] = []

    def walk(value: Any, path: KeyPath) -> Any:
        if isinstance(value, dict):
            return {key: walk(child, (*path, key)) for key, child in value.items()}
        if isinstance(value, list):
            return [walk(child, (*path, index)) for index, child in enumerate(value)]
        if not isinstance(value, str) or keep(path, value):
            return value
        if mentions_credential(value):
            faults.append((path, "takes no credential reference; only logins and passwords do"))
            return None
        try:
            return expand(value, environ)
        except NotExpandable as error:
            faults.append((path, str(error)))
            return None

    return walk(data, ()), faults


def has_variables(text: str) -> bool:
    return "${" in text


def _value(place: re.Match[str], environ: Mapping[str, str]) -> str:
    if place["name"] is None:
        return "${"
    value = environ.get(place["name"], "")
    return value or place["default"] or ""


@dataclass(frozen=True, slots=True, repr=False)
class EnvironmentText:
    """A login name or password that is put together from the environment where it is needed.

    It prints only the names of its variables: its text may hold a password as a default.
    """

    text: str

    @property
    def variables(self) -> tuple[str, ...]:
        names = (place["name"] for place in _PLACE.finditer(self.text))
        return tuple(dict.fromkeys(name for name in names if name is not None))

    def unset(self, environ: Mapping[str, str]) -> tuple[str, ...]:
        """The variables that keep this text from being expanded."""
        return unset_variables(self.text, environ)

    def expand(self, environ: Mapping[str, str]) -> str:
        """Give the text with its values.

        Raises:
            ConfigurationError: a variable is not set and has no default; it is named.
        """
        failure = ""
        try:
            return expand(self.text, environ)
        except NotExpandable as error:
            failure = str(error)
        raise ConfigurationError(failure)

    def __str__(self) -> str:
        return " ".join(f"${{{name}}}" for name in self.variables)

    def __repr__(self) -> str:
        return f"EnvironmentText({self})"
