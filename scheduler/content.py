"""Compares a directory of the source with the server itself, where no manifest is to be trusted."""

from __future__ import annotations

from collections.abc import Mapping

from scheduler.remote_look import Look
from siteferry.dispatch.work import Work
from siteferry.errors import SourceChanged, SourceError, SourceUnreadable
from siteferry.tree.compare import Comparison
from siteferry.tree.content_digest import local_digest
from siteferry.tree.found import Failure, FoundDirectory, FoundFile
from siteferry.tree.manifest import Entry, encode_part
from siteferry.tree.paths import split
from siteferry.tree.remote_compare import RemoteFile, RemoteMode, compare_remote


def compare_remotely(
    work: Work,
    directory: FoundDirectory,
    previous: Mapping[str, Entry],
    look: Look,
    mode: RemoteMode,
) -> Comparison:
    """Compare, and take what is unchanged as published: it is in the next manifest with the content
    that the source has now; what is changed is known to be other than the last one said."""
    remote = look.files(directory.path)
    result = compare_remote(directory, remote, mode, look.clock)
    changed, unchanged = list(result.changed), list(result.unchanged)
    failures: list[Failure] = []
    for asked in result.asked:
        try:
            (unchanged if _same_content(work, asked.found, look) else changed).append(asked.found)
        except SourceChanged:
            changed.append(asked.found)
        except SourceError as error:
            failures.append((asked.found.path, error))
    entries = dict(previous)
    kept: list[FoundFile] = []
    for found, digest in zip(unchanged, work.runtime.hashes.digests(unchanged), strict=True):
        name = split(found.path)[1]
        if isinstance(digest, SourceUnreadable):
            failures.append((found.path, digest))
        elif isinstance(digest, SourceChanged):
            changed.append(found)
        else:
            kept.append(found)
            entries[name] = Entry(digest.size, digest.sha256, _time(remote[name], look))
    for found in changed:
        # Should it not be sent, what the manifest said of it must not pass for what stands there.
        entries.pop(split(found.path)[1], None)
    if entries or previous:
        work.runtime.runs.keep_part(work.member.run, directory.path, encode_part(entries))
    return Comparison(tuple(sorted(changed, key=lambda f: f.path)), tuple(kept), tuple(failures))


def _same_content(work: Work, found: FoundFile, look: Look) -> bool:
    there = look.digests.get(found.path)
    if there is None:
        return False
    if there.algorithm == "sha256":
        return work.runtime.hashes.digest(found).sha256 == there.value
    return local_digest(found, there.algorithm) == there


def _time(there: RemoteFile, look: Look) -> int | None:
    return None if there.mtime is None else look.clock.to_utc(there.mtime)
