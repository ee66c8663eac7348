"""Which websites a command is about: by name, by pattern, by group, or all of them."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from siteferry.errors import ConfigurationError
from siteferry.settings import Settings
from siteferry.settings.document import Document, read_document
from siteferry.settings.problems import configuration_error
from siteferry.settings.references import is_name
from siteferry.websites.checking import merged
from siteferry.websites.loading import (
    examine_file,
    files_of,
    list_websites,
    website_file,
)
from siteferry.websites.models import Website

_NEAR = 3
_WILD = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class Chosen:
    """A website that is asked for, or what keeps it from being read; one of the two is there."""

    name: str
    website: Website | None
    error: ConfigurationError | None = None


def is_pattern(text: str) -> bool:
    """Whether `text` may stand for several websites; no website's name looks like that."""
    return not _WILD.isdisjoint(text)


def choose_websites(
    settings: Settings,
    names: Sequence[str] = (),
    groups: Sequence[str] = (),
    *,
    every: bool = False,
) -> list[Chosen]:
    """Read the websites that are called so, that a pattern matches, or that are in one of `groups`.

    A file that is not as it must be is told with its website, and keeps no other from being chosen.
    Where its groups cannot be read, it is taken to be in those that are asked for: a website that
    is left out without a word would go unpublished.

    Args:
        names: names, or patterns as shells have them (`*`, `?`, `[…]`), upper and lower case apart.
        every: all that have a file, whatever else is given.

    Returns:
        Each website once: in the order of `names`, those of a pattern and of the groups sorted.

    Raises:
        ConfigurationError: there is no website of that name, none that matches, or no such group.
    """
    known = list_websites(settings)
    found = {name: _read(name, settings) for name in (known if every else _named(names, known))}
    if groups and not every:
        candidates = [found[name] if name in found else _read(name, settings) for name in known]
        found |= {one.name: one for one in _in_groups(candidates, groups, settings)}
    return list(found.values())


def _named(names: Sequence[str], known: Sequence[str]) -> Iterator[str]:
    for name in names:
        if name in known or not is_pattern(name):
            yield name
            continue
        matching = fnmatch.filter(known, name)
        if not matching:
            raise ConfigurationError(
                f"no website matches {name!r}", next_step=_near(_plain(name), known, "website")
            )
        yield from matching


def _read(name: str, settings: Settings) -> Chosen:
    try:
        file = website_file(name, settings)
    except ConfigurationError as error:
        if is_name(name) and files_of(name, settings):
            return Chosen(name, None, error)  # it has two
        raise
    website, problems = examine_file(file, settings)
    return Chosen(name, website, configuration_error(problems) if website is None else None)


def _in_groups(
    candidates: Sequence[Chosen], groups: Sequence[str], settings: Settings
) -> Iterator[Chosen]:
    of_each = [(one, _groups(one, settings)) for one in candidates]
    existing = {group for _, told in of_each for group in told or ()}
    for group in groups:
        if group not in existing:
            raise ConfigurationError(
                f"no website is in the group {group!r}", next_step=_near(group, existing, "group")
            )
    for one, told in of_each:
        if told is None or not told.isdisjoint(groups):
            yield one


def _groups(one: Chosen, settings: Settings) -> frozenset[str] | None:
    """Its groups; None where the file cannot tell."""
    if one.website is not None:
        return frozenset(one.website.groups)
    found: set[str] = set()
    for file in files_of(one.name, settings):
        document = read_document(file)
        written = _written_groups(document, settings) if document.readable else None
        if written is None:
            return None
        found |= written
    return frozenset(found)


def _written_groups(document: Document, settings: Settings) -> frozenset[str] | None:
    identity = merged(settings.defaults, document.data).get("website", {})
    written = (identity.get("groups") if isinstance(identity, Mapping) else None) or ()
    if isinstance(written, list | tuple) and all(
        isinstance(g, str) and is_name(g) for g in written
    ):
        return frozenset(written)
    return None


def _plain(pattern: str) -> str:
    return "".join(character for character in pattern if is_name(f"a{character}"))


def _near(text: str, known: Iterable[str], what: str) -> str:
    near = difflib.get_close_matches(text, sorted(known), n=_NEAR, cutoff=0.5)
    if near:
        return f"Did you mean {' or '.join(near)}?"
    return (
        f"There are: {', '.join(sorted(known)[:_NEAR])}." if known else f"There is no {what} yet."
    )
