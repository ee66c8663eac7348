"""What is left out and what is protected: gitignore rules over published paths.

Source of the semantics: https://git-scm.com/docs/gitignore, as `pathspec` implements it. Two levels
decide about exclusion, as git's do: the configuration's rules first, and where none of them speaks,
those of the `.siteferryignore` at the source root. So a file in the source can leave out more, but
never publish what the operator has left out.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

from siteferry.errors import ConfigurationError
from siteferry.tree.paths import is_own_name, parents, split

IGNORE_FILE = ".siteferryignore"

EXCLUDE, PROTECT, OWN_NAMES = "exclude", "protect", "siteferry's own names"
"""Origins of rules beside ignore files, whose origin is their path."""

_POSIX_CLASS = re.compile(r"\[[^\]]*\[:")


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of gitignore text, and where it stands."""

    origin: str
    """EXCLUDE, PROTECT, OWN_NAMES, or the path of an ignore file."""
    line: int
    """From 1; 0 where the rule is siteferry's own."""
    text: str


class Decision(NamedTuple):
    """What decides about a path: a rule that matches `at`, the path itself or a directory above."""

    at: str
    rule: Rule
    matches: bool
    """False: a line with `!`, which lets in what earlier lines leave out."""


class _Pattern(NamedTuple):
    matches: bool
    """Whether it leaves out (or protects); with `!` it does the reverse."""
    test: Callable[[str], object]
    """Of a whole path; a directory's ends in a slash."""
    rule: Rule


class Rules:
    """The rules of one website. Immutable; verdicts about directories are remembered."""

    def __init__(self, exclude: Sequence[str] = (), protect: Sequence[str] = ()) -> None:
        """
        Args:
            exclude: gitignore lines, relative to the published root.
            protect: the same, for what is never deleted or replaced.

        Raises:
            ConfigurationError: a line is no gitignore pattern.
        """
        self._excluded = _Matcher((("", _compile(exclude, EXCLUDE)),))
        self._protected = _Matcher((("", _compile(protect, PROTECT)),))

    def in_source(self, root: Path, prefix: str = "") -> Rules:
        """These rules and, after them, those of the ignore file at `root`, published as `prefix`.

        Raises:
            ConfigurationError: the ignore file is there, but cannot be read or understood. To go on
                without it could publish what must not be seen.
        """
        lines = _read_ignore_file(root / IGNORE_FILE)
        if not lines:
            return self
        rules = Rules()
        rules._protected = self._protected
        level = (prefix, _compile(lines, str(root / IGNORE_FILE)))
        rules._excluded = _Matcher((*self._excluded.levels, level))
        return rules

    def is_excluded(self, path: str, is_directory: bool) -> bool:
        """Whether `path`, or a directory above it, is left out. siteferry's own names always are.

        As in git, what lies in an excluded directory cannot be included again.
        """
        return self._excluded.matches(path, is_directory) or any(
            _is_own(name) for name in path.split("/")
        )

    def is_protected(self, path: str, is_directory: bool = False) -> bool:
        """Whether `path`, or a directory above it, must be neither deleted nor replaced."""
        return self._protected.matches(path, is_directory)

    def exclusion(self, path: str, is_directory: bool) -> Decision | None:
        """What decides whether `path` is left out; None where no rule speaks about it.

        It agrees with `is_excluded`: that is true where the decision is there and `matches`.
        """
        for at in (*parents(path), path):
            if _is_own(name := split(at)[1]):
                return Decision(at, Rule(OWN_NAMES, 0, name), True)
        return self._excluded.decision(path, is_directory)

    def protection(self, path: str, is_directory: bool = False) -> Decision | None:
        """The same for `is_protected`."""
        return self._protected.decision(path, is_directory)


def _is_own(name: str) -> bool:
    return is_own_name(name) or name == IGNORE_FILE


class _Matcher:
    """Levels of rules, the first that speaks about a path decides; each with the published
    directory that its patterns are relative to."""

    def __init__(self, levels: tuple[tuple[str, tuple[_Pattern, ...]], ...]) -> None:
        self.levels = tuple((base, patterns) for base, patterns in levels if patterns)
        self._directories: dict[str, bool] = {"": False}

    def matches(self, path: str, is_directory: bool) -> bool:
        if not self.levels or not path:
            return False
        if self._in_matched_directory(path):
            return True
        return self._directory_matches(path) if is_directory else self._matches_itself(path)

    def decision(self, path: str, is_directory: bool) -> Decision | None:
        """As `matches`, with the pattern that decides: the outermost directory's that matches, or
        the path's own."""
        if not self.levels or not path:
            return None
        for directory in parents(path):
            if self._directory_matches(directory):
                path, is_directory = directory, True
                break
        pattern = self._deciding(f"{path}/" if is_directory else path)
        return Decision(path, pattern.rule, pattern.matches) if pattern else None

    def _in_matched_directory(self, path: str) -> bool:
        verdict = self._directories.get(split(path)[0])
        if verdict is None:
            verdict = any(self._directory_matches(parent) for parent in parents(path))
        return verdict

    def _directory_matches(self, path: str) -> bool:
        """The verdict about a directory none of whose parents matches."""
        verdict = self._directories.get(path)
        if verdict is None:
            verdict = self._directories[path] = self._matches_itself(path + "/")
        return verdict

    def _matches_itself(self, path: str) -> bool:
        pattern = self._deciding(path)
        return pattern is not None and pattern.matches

    def _deciding(self, path: str) -> _Pattern | None:
        """The pattern that decides about a path none of whose parents matches."""
        for base, patterns in self.levels:
            below = f"{base}/" if base else ""
            if not path.startswith(below):
                continue
            relative = path[len(below) :]
            for pattern in patterns:
                if pattern.test(relative):
                    return pattern
        return None


def _compile(lines: Sequence[str], origin: str) -> tuple[_Pattern, ...]:
    """The patterns, last first. `GitIgnoreSpec` as a whole would not do: there a pattern speaks
    about all that lies below what it names, so that `!config/` after `.env` includes `config/.env`.
    In git it speaks about what it names, and what lies in an excluded directory is never asked."""
    compiled = []
    for n, line in enumerate(lines, start=1):
        pattern = _pattern(line, f"{origin}, line {n}")
        if pattern.include is not None and pattern.regex is not None:
            test = _whole_path_test(pattern.regex)
            compiled.append(_Pattern(pattern.include, test, Rule(origin, n, line)))
    return tuple(reversed(compiled))


def _pattern(line: str, origin: str) -> GitIgnoreSpecPattern:
    if _POSIX_CLASS.search(line) and not line.startswith("#"):
        raise ConfigurationError(
            f"{origin}: in {line!r} is a class like [[:alpha:]], which is not understood here",
            next_step="Write a range like [a-zA-Z] in its place.",
        )
    bare = line.rstrip()
    try:
        # What `a/**` names is everything below `a`; written so, its expression covers whole paths.
        return GitIgnoreSpecPattern(f"{bare}/*" if bare.endswith("/**") else line)
    except (ValueError, re.error) as error:
        raise ConfigurationError(
            f"{origin}: {line!r} is no gitignore pattern: {error}",
            next_step="Write the line as in a .gitignore file.",
        ) from error


def _whole_path_test(regex: re.Pattern[str]) -> Callable[[str], object]:
    if regex.pattern.startswith("^"):
        return regex.fullmatch
    # `*`, `**`, `*/` and their like become expressions for one name at any depth.
    return lambda path: regex.search(path[path.rfind("/", 0, -1) + 1 :])


def _read_ignore_file(path: Path) -> list[str]:
    if not os.path.lexists(path):
        return []
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ConfigurationError(
                f"{path} is not a file", next_step="Make it a file of gitignore lines."
            )
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read: {error.strerror}",
            next_step="Make it readable, or remove it; nothing is published without its rules.",
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"{path} is not UTF-8 text: {error.reason} at byte {error.start}",
            next_step="Save it as UTF-8.",
        ) from error
    return [line.removesuffix("\r") for line in text.split("\n")]
