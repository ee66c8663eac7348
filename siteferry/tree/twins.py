"""Paths that differ only in upper and lower case, or in Unicode's form: one file on some servers.

FEAT does not tell whether a file system folds names, so what is to be deleted is held against what
stays: `Logo.png` must not take `logo.png` with it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping


def twins(paths: Iterable[str], others: Iterable[str]) -> Mapping[str, str]:
    """Those of `paths` that are another spelling of one of `others`, which is their value."""
    spelt = {path: _folded(path) for path in paths}
    folds = set(spelt.values())
    by_fold = {fold: other for other in others if (fold := _folded(other)) in folds}
    return {
        path: by_fold[fold]
        for path, fold in spelt.items()
        if fold in by_fold and by_fold[fold] != path
    }


def parting(one: str, other: str) -> tuple[str, str, str]:
    """Where two paths of equal depth part: the directory above, and their two names in it."""
    above: list[str] = []
    for a, b in zip(one.split("/"), other.split("/"), strict=True):
        if a != b:
            return "/".join(above), a, b
        above.append(a)
    raise ValueError(f"{one} and {other} are the same")


def _folded(path: str) -> str:
    if path.isascii():
        return path.lower()
    composed = unicodedata.normalize("NFC", path)
    return unicodedata.normalize("NFC", composed.casefold())
