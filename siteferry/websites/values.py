"""The kinds of values that only website files have: limits, fingerprints, times."""

from __future__ import annotations

import math
import re
import zoneinfo
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Annotated, Any

from pydantic import AfterValidator, PlainSerializer, PlainValidator, WithJsonSchema

from siteferry.settings.references import is_name
from siteferry.settings.values import no_controls, wrong

_FINGERPRINT = re.compile(r"sha256:(?P<digits>(?:[0-9a-f]{2}:?){31}[0-9a-f]{2})")
_MODE = re.compile(r"0?[0-7]{3}")
_PERCENT = re.compile(r"(?P<number>\d{1,3}(?:\.\d+)?)\s*%")


@dataclass(frozen=True, slots=True)
class DeleteLimit:
    """How much one run may delete: a number of files, or a share of the published ones."""

    files: int | None = None
    percent: float | None = None

    @classmethod
    def parse(cls, text: str | int) -> DeleteLimit | None:
        """Read `25` or `10%`; None where it is neither."""
        if isinstance(text, bool):
            return None
        if isinstance(text, int) or text.strip().isdecimal():
            return cls(files=int(text)) if int(text) >= 0 else None
        found = _PERCENT.fullmatch(text.strip())
        if found is None or float(found["number"]) > 100:
            return None
        return cls(percent=float(found["number"]))

    def allowed(self, published: int) -> int:
        """The most files that may be deleted of `published` ones. A share is rounded up: a small
        site may lose a file, too."""
        if self.files is not None:
            return self.files
        return math.ceil(published * (self.percent or 0.0) / 100)

    def __str__(self) -> str:
        return f"{self.percent:g}%" if self.percent is not None else str(self.files)


def _delete_limit(value: Any) -> DeleteLimit:
    if isinstance(value, DeleteLimit):
        return value
    limit = DeleteLimit.parse(value) if isinstance(value, str | int) else None
    if limit is None:
        raise wrong("must be a number of files, such as 25, or a share, such as 10%")
    return limit


def _fingerprint(value: Any) -> str:
    found = _FINGERPRINT.fullmatch(value.strip().lower()) if isinstance(value, str) else None
    if found is None:
        raise wrong("must be `sha256:` and 64 hexadecimal digits, in quotes")
    return f"sha256:{found['digits'].replace(':', '')}"


def _mode(value: Any) -> int:
    # Only text: YAML 1.2 reads 0644 as the number 644, and 0o644 as 420.
    if isinstance(value, str) and _MODE.fullmatch(value):
        return int(value, 8)
    raise wrong('must be permissions in three octal digits and in quotes, such as "644"')


def _zone(value: str) -> str:
    try:
        zoneinfo.ZoneInfo(value)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        known = False
    else:
        known = True
    if not known:
        raise wrong("must be a time zone that this machine knows, such as Europe/Vilnius or UTC")
    return value


def _name(value: str) -> str:
    if not is_name(value):
        raise wrong("must be letters, digits, `.`, `_` and `-`, beginning with none of `.` and `-`")
    return value


def _remote_path(value: str) -> str:
    no_controls(value)
    if not value or ".." in value.split("/"):
        raise wrong("must be a path on the server, without `..`, such as /public_html")
    return value


def _source_path(value: str) -> str:
    no_controls(value)
    path = PurePosixPath(value)
    if not value or path.is_absolute() or ".." in path.parts or value.startswith("~"):
        raise wrong("must be a path inside the workspace, relative to it and without `..`")
    return value


DeleteMost = Annotated[
    DeleteLimit,
    PlainValidator(_delete_limit),
    PlainSerializer(str),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0},
                {"type": "string", "pattern": r"^\d+(\.\d+)?\s*%?$"},
            ]
        }
    ),
]
Fingerprint = Annotated[str, PlainValidator(_fingerprint), WithJsonSchema({"type": "string"})]
"""`sha256:` and 64 lower-case hexadecimal digits."""

Mode = Annotated[
    int,
    PlainValidator(_mode),
    PlainSerializer(lambda mode: f"{mode:03o}"),
    WithJsonSchema({"type": "string", "pattern": "^0?[0-7]{3}$"}),
]
"""Permission bits; files write them as `"644"`."""

ZoneName = Annotated[str, AfterValidator(_zone)]
SafeName = Annotated[str, AfterValidator(_name)]
RemotePath = Annotated[str, AfterValidator(_remote_path)]
SourcePath = Annotated[str, AfterValidator(_source_path)]
Line = Annotated[str, AfterValidator(no_controls)]
"""Text without control characters."""
