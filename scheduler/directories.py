"""Directory items: each looks at its own local directories and at what was published of them, and
makes file items of what has to be sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

from scheduler.content import compare_remotely
from scheduler.extras import seek_extras
from scheduler.labels import files_label
from scheduler.remote_look import Look, look_at
from siteferry.dispatch.sources import rules_of, selection_of, source_roots
from siteferry.dispatch.work import Work
from siteferry.errors import SiteferryError, SourceError
from siteferry.ledger.findings import Findings
from siteferry.ledger.items import Child, Finish, Outcome, Status
from siteferry.run import ItemKind
from siteferry.tree.batches import make_batches
from siteferry.tree.compare import Comparison, compare
from siteferry.tree.found import Scan
from siteferry.tree.manifest import decode_part
from siteferry.tree.paths import split
from siteferry.tree.remote_compare import RemoteMode
from siteferry.tree.scan import FoundFile, relist


@dataclass(slots=True)
class _Result:
    """What an item has found out, of all its directories."""

    changed: list[FoundFile] = field(default_factory=list)
    known: set[str] = field(default_factory=set)
    """Files that are on the server already, as far as was looked."""
    unchanged: int = 0


@dataclass(frozen=True, slots=True)
class DirectoryStep:
    """Compares a few directories, by default by content: times mean nothing after a fresh
    checkout."""

    kind: ItemKind = ItemKind.DIRECTORY

    def carry(self, work: Work) -> Finish:
        """Compare; the item's files follow it at once, before the next directories."""
        paths: list[str] = work.body["directories"]
        comparison = work.claim.facts["comparison"]
        seeks_extras = work.claim.facts["seeks_extras"] == "1"
        found = Scan((), (), ()) if work.body.get("foreign") else _found(work, paths)
        if found.failures:
            work.check_sources()
        for path, error in found.failures:
            work.failed(path, error)
        tree = work.runtime.runs.tree(work.member.run) if seeks_extras else None
        look = Look()
        if tree or comparison not in ("manifest", "nothing"):
            wanted = frozenset(tree["directories"]) if tree else None
            look = look_at(work, paths, found, comparison, wanted)
        result = _compared(work, found, look, comparison)
        children = seek_extras(work, look, found, paths, tree) if tree else []
        return _finish(work, result, children)

    def give_up(self, work: Work, error: SiteferryError) -> Finish:
        """Directories that could not be looked at are failures of the run, each by its name."""
        paths: list[str] = work.body["directories"]
        return Finish(
            outcomes=[work.failure(path or ".", error) for path in paths],
            counts={"comparing": -1},
        )


def _found(work: Work, paths: Sequence[str]) -> Scan:
    """What the source has in these directories, as far as the run is about it."""
    website, settings = work.website, work.runtime.settings
    work.check_sources()
    found = relist(source_roots(website, settings), paths, rules_of(website))
    found = selection_of(website, settings, work.options).of(found)
    if work.claim.facts.get("refused", "0") == "0":
        return found
    return found.without(work.runtime.runs.tree(work.member.run)["refused"])


def _compared(work: Work, found: Scan, look: Look, comparison: str) -> _Result:
    result = _Result()
    run, runs = work.member.run, work.runtime.runs
    parts = runs.previous_parts(run, [directory.path for directory in found.directories])
    removes = work.claim.facts.get("removes", "0") != "0"
    going = frozenset(runs.tree(run)["remove"]) if removes else frozenset()
    for directory in found.directories:
        work.go_on()
        text = parts.get(directory.path)
        previous = decode_part(text) if text is not None else {}
        if comparison == "nothing":
            compared = Comparison(directory.files, (), ())
        elif comparison == "manifest":
            compared = compare(directory, previous, work.runtime.hashes)
        else:
            mode = cast("RemoteMode", comparison)
            compared = compare_remotely(work, directory, previous, look, mode)
            if work.options.dry_run and directory.path and directory.path not in look.directories:
                Findings(work.runtime.connection).add_planned(run, {directory.path: ("mkdir", 0)})
        there = previous.keys() | look.names(directory.path)
        # What was not in the source when the run was planned is: sent, it is not deleted.
        back = [f for f in compared.unchanged if f.path in going]
        changed = [*compared.changed, *back]
        result.changed.extend(changed)
        result.known.update(f.path for f in changed if split(f.path)[1] in there)
        result.unchanged += len(compared.unchanged) - len(back)
        if compared.failures:
            work.check_sources()
        for path, error in compared.failures:
            work.failed(path, error)
        work.moved()
    return result


def _finish(work: Work, result: _Result, children: Sequence[Child]) -> Finish:
    """File items for what has to be sent; a dry run notes what it would do instead."""
    settings = work.runtime.settings
    outcomes = _ready(work, result.changed)
    ready = {outcome.path for outcome in outcomes}
    left = [file for file in result.changed if file.path not in ready]
    if work.options.dry_run:
        Findings(work.runtime.connection).add_planned(
            work.member.run, {f.path: _planned(work, f, f.path in result.known) for f in left}
        )
        batches: Sequence[Sequence[FoundFile]] = ()
    else:
        batches = make_batches(left, settings.batch.files, settings.batch.bytes)
    number = work.member.item.partition("-")[2]
    return Finish(
        outcomes=outcomes,
        children=[
            *children,
            *(
                Child(
                    f"{ItemKind.FILES}-{number}-{index}",
                    {"files": _rows(batch)},
                    first=True,
                    label=files_label(batch),
                )
                for index, batch in enumerate(batches)
            ),
        ],
        counts={
            "comparing": len(children) - 1,
            "adopted": len(outcomes),
            "adopted_bytes": sum(outcome.size for outcome in outcomes),
            "skipped": result.unchanged,
            "files_to_send": len(result.changed),
            "bytes_to_send": sum(file.size for file in result.changed),
        },
    )


def _ready(work: Work, changed: Sequence[FoundFile]) -> list[Outcome]:
    """Those that stand staged already, by an earlier run, with the content that the source has and
    the permissions that are wanted."""
    if work.claim.facts.get("left_staged", "0") == "0":
        return []
    rows = Findings(work.runtime.connection).staged(work.member.run, [f.path for f in changed])
    ready: list[Outcome] = []
    for file in changed:
        row = rows.get(file.path)
        if row is None or row[1] != file.size or _mode(row) != work.website.file_mode:
            continue
        try:
            same = work.runtime.hashes.digest(file).sha256 == row[2]
        except SourceError:
            continue  # the transfer reads it anew, and says what is wrong
        if same:
            ready.append(Outcome(file.path, Status.TRANSFERRED, {"staged": row}, file.size))
    return ready


def _mode(row: Sequence[object]) -> object:
    # Of runs of versions that set none, the rows are shorter.
    return row[4] if len(row) > 4 else None


def _planned(work: Work, file: FoundFile, known: bool) -> list[object]:
    action = "replace" if known else "create"
    if not work.options.hashed:
        return [action, file.size]
    digest = work.runtime.hashes.digest(file)
    return [action, digest.size, digest.sha256]


def _rows(batch: Sequence[FoundFile]) -> list[list[object]]:
    return [[file.path, file.local, file.size, file.mtime] for file in batch]
