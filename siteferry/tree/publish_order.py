"""In which order staged files take their places: what pages refer to comes before the pages."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from typing import Literal

PublishClass = Literal["assets", "pages", "entry"]

_PAGES = frozenset({".html", ".htm", ".xhtml", ".shtml", ".php", ".phtml", ".asp", ".aspx", ".jsp"})
_ENTRY_NAMES = frozenset({".htaccess", "web.config"})


def publish_class(path: str) -> PublishClass:
    """Entry points (index.*, .htaccess) make a new version visible, so they come last; pages refer
    to assets, so assets come first."""
    name = posixpath.basename(path).lower()
    stem, suffix = posixpath.splitext(name)
    if name in _ENTRY_NAMES or (stem == "index" and suffix):
        return "entry"
    return "pages" if suffix in _PAGES else "assets"


def in_classes(paths: Sequence[str], order: Sequence[PublishClass]) -> list[list[str]]:
    """`paths` split by class in the given `order`, each sorted; empty classes are left out."""
    groups: dict[PublishClass, list[str]] = {kind: [] for kind in order}
    for path in sorted(paths):
        groups[publish_class(path)].append(path)
    return [group for group in groups.values() if group]
