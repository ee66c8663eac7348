"""What there is to publish: the local sources as one tree of published paths.

A whole scan, one directory alone and a later second look share one policy, that of `walk`.
"""

from __future__ import annotations

from collections.abc import Sequence

from siteferry.tree.found import Failure, FoundDirectory, FoundFile, Listing, Scan, SourceRoot
from siteferry.tree.rules import Rules
from siteferry.tree.walk import Place, Walk

__all__ = [
    "Failure",
    "FoundDirectory",
    "FoundFile",
    "Listing",
    "Scan",
    "SourceRoot",
    "list_directory",
    "relist",
    "scan",
]


def scan(sources: Sequence[SourceRoot], rules: Rules) -> Scan:
    """Find everything that `sources` hold and `rules` do not leave out. The root is always there.

    Raises:
        ConfigurationError: a source is missing or no directory, or its ignore file is not usable.
    """
    walk = Walk(sources, rules)
    directories = []
    waiting: list[tuple[str, tuple[Place, ...]]] = [("", walk.places(""))]
    while waiting:
        path, places = waiting.pop()
        directory, subdirectories = walk.read(path, places)
        waiting.extend(subdirectories.items())
        if directory or not path:
            directories.append(directory or FoundDirectory("", ()))
    return walk.result(directories)


def list_directory(sources: Sequence[SourceRoot], path: str, rules: Rules) -> Listing:
    """Look at one published directory, and tell which subdirectories `scan` would go on to.

    Raises:
        ConfigurationError: as for `scan`.
    """
    walk = Walk(sources, rules)
    directory, subdirectories = walk.read_again(path)
    result = walk.result(())
    return Listing(directory, tuple(sorted(subdirectories)), result.failures, result.warnings)


def relist(sources: Sequence[SourceRoot], paths: Sequence[str], rules: Rules) -> Scan:
    """Look again at these published directories, without descent.

    One that is no longer there, or no longer a directory, is a failure and not in the result.

    Raises:
        ConfigurationError: as for `scan`.
    """
    walk = Walk(sources, rules)
    listed = [walk.read_again(path)[0] for path in paths]
    return walk.result([directory for directory in listed if directory])
