"""What a run is about, and what it may delete: rules, `--only`, and other websites' directories."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace

from siteferry.errors import SourceUnreadable
from siteferry.tree.found import FoundDirectory, Scan
from siteferry.tree.paths import parents
from siteferry.tree.rules import Rules


class Selection:
    """Published paths as one run sees them.

    Args:
        rules: for each source, the website's rules with those of its ignore file.
        only: gitignore patterns; none: every path.
        foreign: published directories that belong to other websites.

    Raises:
        ConfigurationError: one of `only` is no gitignore pattern.
    """

    def __init__(
        self,
        rules: Sequence[Rules],
        only: Sequence[str] = (),
        foreign: AbstractSet[str] = frozenset(),
    ) -> None:
        self._rules = tuple(rules)
        self._only = Rules(only) if only else None
        self._foreign = foreign

    @property
    def is_partial(self) -> bool:
        """Whether some paths are left alone."""
        return self._only is not None

    def is_selected(self, path: str, is_directory: bool = False) -> bool:
        """Whether the run is about the file, or all of the directory, `path`."""
        return self._only is None or self._only.is_excluded(path, is_directory)

    def may_delete(self, path: str, is_directory: bool = False) -> bool:
        """Whether `path` may be deleted where the source does not have it. What a rule leaves out
        is not the source's to judge, and stays."""
        return self.is_selected(path, is_directory) and self.may_look_into(path, is_directory)

    def may_look_into(self, path: str, is_directory: bool = True) -> bool:
        """Whether something below the directory `path` may be deleted, though perhaps not all."""
        if not self._foreign.isdisjoint((path, *parents(path))):
            return False
        return not any(
            rules.is_excluded(path, is_directory) or rules.is_protected(path, is_directory)
            for rules in self._rules
        )

    def may_purge(self, path: str, is_directory: bool) -> bool:
        """Whether `path` goes when all of the remote directory is to go: what is protected stays,
        and so does what is another website's."""
        if not self._foreign.isdisjoint((path, *parents(path))):
            return False
        return not any(rules.is_protected(path, is_directory) for rules in self._rules)

    def of(self, scan: Scan) -> Scan:
        """`scan` with the selected files alone, and the directories that hold some of them. Nobody
        knows what is in a directory that could not be read, so that is a failure of this run, too.
        """
        if self._only is None:
            return scan
        chosen = [
            FoundDirectory(d.path, tuple(f for f in d.files if self.is_selected(f.path)))
            for d in scan.directories
        ]
        holding = {d.path for d in chosen if d.files}
        wanted = {"", *holding, *(above for path in holding for above in parents(path))}
        failures = tuple(
            (path, error)
            for path, error in scan.failures
            if path in wanted
            or isinstance(error, SourceUnreadable)
            or self.is_selected(path)
            or self.is_selected(path, is_directory=True)
        )
        directories = tuple(d for d in chosen if d.path in wanted)
        return replace(scan, directories=directories, failures=failures)
