"""From ruamel's node graph to plain values, with the line of every key.

Only plain YAML is accepted: mappings with text for keys, each once; lists; texts, numbers, yes/no
and null. Tags are refused, aliases and `<<` are followed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ruamel.yaml.nodes import MappingNode, Node

KeyPath = tuple[str | int, ...]

_TAG = "tag:yaml.org,2002:"
_MOST_NODES = 50_000


@dataclass(frozen=True, slots=True)
class PlainValues:
    """A document's mapping, the line (1-based) of each path, and (path, message) of its faults."""

    data: dict[str, Any] = field(repr=False)
    lines: dict[KeyPath, int]
    faults: list[tuple[KeyPath, str]]


def plain_values(root: Node | None) -> PlainValues:
    """Make plain values of a composed document; None is an empty one."""
    walk = _Walk()
    data = None if root is None else walk.value(root, ())
    if data is not None and not isinstance(data, dict):
        walk.faults.append(((), "must be a mapping: `key: value` lines"))
        data = None
    return PlainValues(data or {}, walk.lines, walk.faults)


class _Walk:
    """Visits the nodes, noting lines and faults on the way."""

    def __init__(self) -> None:
        self.lines: dict[KeyPath, int] = {}
        self.faults: list[tuple[KeyPath, str]] = []
        self._open: set[int] = set()
        self._nodes = 0

    def value(self, node: Node, path: KeyPath) -> Any:
        from ruamel.yaml.nodes import MappingNode, ScalarNode

        self._nodes += 1
        if id(node) in self._open or self._nodes > _MOST_NODES:
            self._fault(path, "contains itself, or grows too large, through an alias")
            return None
        if isinstance(node, ScalarNode):
            return self._scalar(str(node.tag), node.value, path)
        self._open.add(id(node))
        try:
            if isinstance(node, MappingNode):
                return self._mapping(node, path)
            if node.tag != f"{_TAG}seq":
                self._tag_refused(path)
                return None
            return [self._item(child, (*path, index)) for index, child in enumerate(node.value)]
        finally:
            self._open.discard(id(node))

    def _item(self, node: Node, path: KeyPath) -> Any:
        self.lines[path] = node.start_mark.line + 1
        return self.value(node, path)

    def _mapping(self, node: MappingNode, path: KeyPath) -> dict[str, Any] | None:
        from ruamel.yaml.nodes import ScalarNode

        if node.tag != f"{_TAG}map":
            self._tag_refused(path)
            return None
        own: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key, child in node.value:
            if not isinstance(key, ScalarNode):
                # `?` is no name, so that it is printed as "(a key)".
                self.lines[(*path, "?")] = key.start_mark.line + 1
                self._fault((*path, "?"), "must be text")
            elif key.tag == f"{_TAG}merge":
                merged |= self._merged(child, path)
            elif key.value in own:
                self._repeated((*path, key.value), key.start_mark.line + 1)
            else:
                self.lines[(*path, key.value)] = key.start_mark.line + 1
                own[key.value] = self.value(child, (*path, key.value))
        return merged | own

    def _merged(self, node: Node, path: KeyPath) -> dict[str, Any]:
        """YAML's `<<: *alias`; in a list of them the first one that has a key counts."""
        from ruamel.yaml.nodes import MappingNode, SequenceNode

        sources = node.value if isinstance(node, SequenceNode) else [node]
        result: dict[str, Any] = {}
        for source in sources:
            kept = dict(self.lines)
            value = self.value(source, path) if isinstance(source, MappingNode) else None
            self.lines |= kept
            if isinstance(value, dict):
                result = value | result
            else:
                self._fault(path, "`<<` takes an alias of a mapping, or a list of them")
        return result

    def _scalar(self, tag: str, text: str, path: KeyPath) -> Any:
        number: Callable[[str], Any] | None = {"int": _whole, "float": _number}.get(
            tag.removeprefix(_TAG)
        )
        if tag == f"{_TAG}null":
            return None
        if tag == f"{_TAG}bool":
            return text.lower() in ("true", "yes", "on")
        if number is not None:
            try:
                return number(text.replace("_", "").lower())
            except ValueError:
                self._fault(path, "is not the number that its tag promises")
                return None
        if tag in (f"{_TAG}str", f"{_TAG}timestamp", f"{_TAG}value"):
            return _joined_surrogates(text)
        self._tag_refused(path)
        return None

    def _tag_refused(self, path: KeyPath) -> None:
        self._fault(path, "tags (`!…`) are not allowed here; text with a leading ! needs quotes")

    def _repeated(self, path: KeyPath, line: int) -> None:
        self._fault(path, f"stands here again; first in line {self.lines[path]}")
        self.lines[path] = line

    def _fault(self, path: KeyPath, message: str) -> None:
        self.faults.append((path, message))


def _whole(text: str) -> int:
    return int(text, 0 if text.lstrip("+-")[:2] in ("0o", "0x", "0b") else 10)


def _number(text: str) -> float:
    return float(text.replace(".inf", "inf").replace(".nan", "nan"))


def _joined_surrogates(text: str) -> str:
    r"""JSON writes characters beyond the BMP as two `\u` escapes, which YAML reads as two."""
    if not any("\ud800" <= char <= "\udfff" for char in text):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
