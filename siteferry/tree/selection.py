"""What a run is about, and what it may delete: rules, `--only`, and other websites' directories."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

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

    def is_selected(self, path: str) -> bool:
        """Whether the run is about the file `path`."""
        return self._only is None or self._only.is_excluded(path, is_directory=False)

    def may_delete(self, path: str, is_directory: bool = False) -> bool:
        """Whether `path` may be deleted where the source does not have it. What a rule leaves out
        is not the source's to judge, and stays."""
        if not self._foreign.isdisjoint((path, *parents(path))):
            return False
        if not is_directory and not self.is_selected(path):
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
        """`scan` with the selected files alone, and the directories that hold some of them."""
        if self._only is None:
            return scan
        chosen = [
            FoundDirectory(d.path, tuple(f for f in d.files if self.is_selected(f.path)))
            for d in scan.directories
        ]
        holding = {d.path for d in chosen if d.files}
        wanted = {"", *holding, *(above for path in holding for above in parents(path))}
        failures = tuple(f for f in scan.failures if f[0] in wanted or self.is_selected(f[0]))
        return Scan(tuple(d for d in chosen if d.path in wanted), failures, scan.warnings)
