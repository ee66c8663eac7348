"""Why a path is published or not: asked of the walk and the rules that a scan asks."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from siteferry.errors import ConfigurationError, SourceError
from siteferry.tree.found import SourceRoot
from siteferry.tree.paths import join, parents, shown
from siteferry.tree.rules import Decision, Rules
from siteferry.tree.walk import Walk


@dataclass(frozen=True, slots=True)
class InSource:
    """What one source has at a published path."""

    root: str
    """The source's directory, with links resolved."""
    local: str | None
    """Where the path lies in it; None where the source is published below another name."""
    exists: bool
    decision: Decision | None
    """What decides whether this source's is left out: its own ignore file may differ."""

    @property
    def left_out(self) -> bool:
        return self.decision is not None and self.decision.matches


@dataclass(frozen=True, slots=True)
class Why:
    """What becomes of a published path, and the facts from which that follows."""

    path: str
    published: bool
    is_directory: bool
    """As it is in the sources; where it is in none, as it was asked for."""
    local: tuple[str, ...]
    """What it is published from: one file, or the directories of all sources that have it."""
    sources: tuple[InSource, ...]
    """In the order of the configuration: of files in several, the last one's is published."""
    protection: Decision | None
    failures: tuple[tuple[str, SourceError], ...]
    """Of the path, or of directories above it."""
    warnings: tuple[str, ...]
    """The same."""

    @property
    def protected(self) -> bool:
        return self.protection is not None and self.protection.matches


def why(sources: Sequence[SourceRoot], rules: Rules, path: str, is_directory: bool = False) -> Why:
    """Look at one path as `scan` would, and at nothing beside the directories that lead to it.

    Args:
        path: published path, as `published_path` gives it.
        is_directory: what it counts as where no source has it.

    Raises:
        ConfigurationError: as for `scan`.
    """
    walk = Walk(sources, rules)
    local, is_published_directory = _descend(walk, path)
    on_the_way = {"", *map(shown, (*parents(path), path))}
    failures = [failure for failure in walk.result(()).failures if failure[0] in on_the_way]
    # A walk that comes to no other entry, for warnings do not say which path they are about.
    alone = Walk(sources, rules)
    alone.places(path)
    held = [_in_source(source, rules, path, is_directory) for source in sources]
    is_directory = is_published_directory or (not local and any(kind for _, kind in held))
    return Why(
        path=path,
        published=bool(local),
        is_directory=is_directory,
        local=local,
        sources=tuple(one for one, _ in held),
        protection=rules.protection(path, is_directory),
        failures=tuple(failures),
        warnings=alone.result(()).warnings,
    )


def _descend(walk: Walk, path: str) -> tuple[tuple[str, ...], bool]:
    """The local file or directories that `path` is published from, none if a scan does not come to
    it, and whether it is a directory."""
    directory, places = "", walk.places("")
    for step in (*parents(path), path) if path else ():
        found, subdirectories = walk.read(directory, places)
        if step not in subdirectories:
            files = found.files if found else ()
            return tuple(file.local for file in files if file.path == path), False
        directory, places = step, subdirectories[step]
    if path and walk.read(path, places)[0] is None:
        return (), True
    return tuple(place.real or place.source.root for place in places), True


def _in_source(
    source: SourceRoot, rules: Rules, path: str, as_directory: bool
) -> tuple[InSource, bool]:
    """What the source has there, and whether it counts as a directory."""
    root = source.local.resolve()
    own = rules.in_source(root, source.prefix)
    relative = _below(path, source.prefix)
    local = None if relative is None else str(root / relative)
    exists = local is not None and os.path.lexists(local)
    is_directory = os.path.isdir(local) if local and exists else as_directory  # noqa: PTH112
    return InSource(str(root), local, exists, own.exclusion(path, is_directory)), is_directory


def _below(path: str, prefix: str) -> str | None:
    """`path` relative to the published directory `prefix`, None where it does not lie in it."""
    if not prefix or path == prefix:
        return "" if path == prefix else path
    return path[len(prefix) + 1 :] if path.startswith(f"{prefix}/") else None


def published_path(sources: Sequence[SourceRoot], text: str) -> str:
    """The published path that `text` means: as it stands, or, where it names something that lies in
    a source, that thing's. A relative text is a published path if some source has it; of sources
    that lie in each other, the inner one counts.

    Raises:
        ConfigurationError: it leads out of the website.
    """
    plain = posixpath.normpath(text.strip("/") or ".")
    published = "" if plain == "." else plain
    leads_out = plain.split("/")[0] == ".."
    is_local = text.startswith(("/", "./", "../"))
    if not is_local and not leads_out and any(_has(source, published) for source in sources):
        return published
    absolute = Path(os.path.abspath(text))  # noqa: PTH100  # pathlib keeps the `..`
    for local in (absolute, Path(os.path.realpath(absolute.parent), absolute.name)):
        for root, prefix in sorted(_roots(sources), key=lambda root: -len(root[0].parts)):
            if local.is_relative_to(root) and (is_local or os.path.lexists(local)):
                inside = local.relative_to(root).as_posix()
                return join(prefix, "" if inside == "." else inside)
    if leads_out:
        raise ConfigurationError(
            f"{shown(text)} lies in no source of the website, and is no published path",
            next_step="Give the path as it is on the server, below the remote directory.",
        )
    return published


def _has(source: SourceRoot, path: str) -> bool:
    relative = _below(path, source.prefix)
    return relative is not None and os.path.lexists(source.local / relative)


def _roots(sources: Sequence[SourceRoot]) -> list[tuple[Path, str]]:
    """Each source's directory as it is written and with links resolved, and its prefix."""
    return [
        (root, source.prefix)
        for source in sources
        for root in (source.local.absolute(), source.local.resolve())
    ]
