"""JSON Schema of a website file as it is written."""

from __future__ import annotations

from typing import Any

from siteferry.settings.schema import editor_schema
from siteferry.websites.checking import LEGACY_BLOCK
from siteferry.websites.models import Website

_FILLED_IN = (("Identity", ("name", "workspace")), ("FtpTarget", ("host",)))
_SHORT_AS_TEXT = ("Source", "VerifyCheck", "AfterStep")


def website_schema() -> dict[str, Any]:
    """The schema of the models, with what only a file may do: leave out what the file's name, the
    domain or the settings' defaults give; the older `hostinger:`; the short forms as text."""
    schema = editor_schema(Website, "siteferry website file")
    schema.pop("required", None)
    properties = schema["properties"]
    properties[LEGACY_BLOCK] = {**properties["ftp"], "description": "older name of `ftp`"}
    definitions = schema["$defs"]
    for name, keys in _FILLED_IN:
        required = definitions[name].pop("required", [])
        kept = [key for key in required if key not in keys]
        if kept:
            definitions[name]["required"] = kept
    for name in _SHORT_AS_TEXT:
        definitions[name] = {"anyOf": [definitions[name], {"type": "string"}]}
    return schema
