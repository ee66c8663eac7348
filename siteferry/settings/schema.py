"""JSON Schema of configuration files, for editors."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_VARIABLE = {"type": "string", "pattern": r"\$\{[A-Za-z_]"}
_OUTER = ("title", "description", "default")
_NUMBERS = frozenset({"integer", "number", "boolean"})


def editor_schema(model: type[BaseModel], title: str) -> dict[str, Any]:
    """The schema of a file as written: a number, a yes/no or a choice may also be a `${VAR}`."""
    schema = model.model_json_schema(by_alias=True)
    return {"$schema": _DIALECT, **_as_written(schema), "title": title}


def _as_written(node: Any) -> Any:
    if isinstance(node, list):
        return [_as_written(child) for child in node]
    if not isinstance(node, dict):
        return node
    changed = {key: _as_written(child) for key, child in node.items()}
    if "enum" in node or (isinstance(node.get("type"), str) and node["type"] in _NUMBERS):
        outer = {
            key: changed.pop(key) for key in ("title", "description", "default") if key in node
        }
        return {**outer, "anyOf": [changed, _VARIABLE]}
    return changed
