"""Directory items: each looks at its own local directories and at its part of the manifest, and
makes file items of what has to be sent."""

from __future__ import annotations

from dataclasses import dataclass

from siteferry.dispatch.sources import rules_of, source_roots
from siteferry.dispatch.work import Work
from siteferry.errors import SiteferryError
from siteferry.ledger.items import Child, Finish
from siteferry.run import ItemKind
from siteferry.tree.batches import make_batches
from siteferry.tree.compare import compare
from siteferry.tree.manifest import decode_part
from siteferry.tree.scan import FoundFile, relist


@dataclass(frozen=True, slots=True)
class DirectoryStep:
    """Compares a few directories by content: times mean nothing after a fresh checkout."""

    kind: ItemKind = ItemKind.DIRECTORY

    def carry(self, work: Work) -> Finish:
        """Compare; the item's files follow it at once, before the next directories."""
        settings, website = work.runtime.settings, work.website
        paths: list[str] = work.body["directories"]
        parts = work.runtime.runs.previous_parts(work.member.run, paths)
        found = relist(source_roots(website, settings), paths, rules_of(website))
        changed: list[FoundFile] = []
        unchanged = 0
        for path, error in found.failures:
            work.failed(path, error)
        for directory in found.directories:
            previous = decode_part(parts[directory.path]) if directory.path in parts else {}
            comparison = compare(directory, previous)
            changed.extend(comparison.changed)
            unchanged += len(comparison.unchanged)
            for path, error in comparison.failures:
                work.failed(path, error)
            work.moved()
        batches = make_batches(changed, settings.batch.files, settings.batch.bytes)
        number = work.member.item.partition("-")[2]
        return Finish(
            children=[
                Child(f"{ItemKind.FILES}-{number}-{index}", {"files": _rows(batch)}, first=True)
                for index, batch in enumerate(batches)
            ],
            counts={
                "comparing": -1,
                "skipped": unchanged,
                "files_to_send": len(changed),
                "bytes_to_send": sum(file.size for file in changed),
            },
        )

    def give_up(self, work: Work, error: SiteferryError) -> Finish:
        """Directories that could not be looked at are failures of the run, each by its name."""
        paths: list[str] = work.body["directories"]
        return Finish(
            outcomes=[work.failure(path or ".", error) for path in paths],
            counts={"comparing": -1},
        )


def _rows(batch: tuple[FoundFile, ...]) -> list[list[object]]:
    return [[file.path, file.local, file.size, file.mtime] for file in batch]
