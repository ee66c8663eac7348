"""The kinds of values that configuration files share: sizes, times, secrets, names, addresses."""

from __future__ import annotations

import ipaddress
import os
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from siteferry.secret import MASK, Secret
from siteferry.settings.problems import OWN_ERROR

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30}
_SIZE = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[kmg]i?)?b?(?:/s)?", re.IGNORECASE)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(?P<number>\d+)\s*(?P<unit>[smhd])", re.IGNORECASE)
_HOST = re.compile(r"\w(?:[\w.-]*\w)?")
_SIZE_SCHEMA = {
    "anyOf": [
        {"type": "integer", "minimum": 1},
        {"type": "string", "pattern": r"^\d+(\.\d+)?\s*([kKmMgG]i?)?[bB]?(/s)?$"},
    ]
}
_DURATION_SCHEMA = {"type": "string", "pattern": r"^\d+\s*[smhdSMHD]$"}


class Part(BaseModel):
    """Base of every model of a configuration file: frozen, with no key that it does not know."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        arbitrary_types_allowed=True,
    )


def wrong(message: str) -> PydanticCustomError:
    """An error for a validator to raise. The message is a constant that quotes no input."""
    return PydanticCustomError(OWN_ERROR, message)


def parse_size(value: Any) -> Any:
    """Bytes from `8388608`, `8MiB` (powers of 1024) or `500k`, `2MB` (powers of 1000)."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise wrong("must be a number of bytes, such as 2MiB or 500k")
    found = _SIZE.fullmatch(str(value).strip())
    if found is None:
        raise wrong("must be a number of bytes, such as 2MiB or 500k")
    size = int(float(found["number"]) * _UNITS[(found["unit"] or "").lower()])
    if size < 1:
        raise wrong("must be at least one byte")
    return size


def parse_duration(value: Any) -> Any:
    """Seconds from `30d`, `12h`, `45m` or `90s`; a number alone has no unit, and is refused."""
    found = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise wrong("must be a number with its unit, such as 30d, 12h, 45m or 90s")
    return int(found["number"]) * _SECONDS[found["unit"].lower()]


def no_controls(value: str) -> str:
    """Refuse what could begin a new FTP command or corrupt a terminal (CR, LF, NUL and others)."""
    if any(ord(char) < 32 or ord(char) == 127 for char in value):
        raise wrong("must not hold a line break or another control character")
    return value


def _host(value: Any) -> Any:
    if not isinstance(value, str):
        raise wrong("must be a host name, as text")
    if is_ip_address(value) or _HOST.fullmatch(value):
        return value.lower()
    raise wrong("must be a host name or an address only; port and login have keys of their own")


def is_ip_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _secret(value: Any) -> Any:
    if isinstance(value, Secret):
        return value
    if not isinstance(value, str):
        raise wrong("must be text: put it in quotes")
    return Secret(no_controls(value))


def user_path(text: str) -> Path:
    """The path with a leading `~` expanded where that is possible."""
    # Path.expanduser would raise for an unknown user, and quote the name.
    return Path(os.path.expanduser(text))  # noqa: PTH111


def _local_path(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, str | Path) or not str(value):
        raise wrong("must be a path, as text")
    path = user_path(no_controls(str(value)))
    return info.context["base"] / path if info.context else path


ByteSize = Annotated[int, BeforeValidator(parse_size), WithJsonSchema(_SIZE_SCHEMA)]
"""A number of bytes; files may write `2MiB` or `500k`."""

Duration = Annotated[int, BeforeValidator(parse_duration), WithJsonSchema(_DURATION_SCHEMA)]
"""Seconds; files write `30d`, `12h`, `45m` or `90s`."""

Host = Annotated[str, BeforeValidator(_host)]
"""A host name or IP address, in lower case."""

LocalPath = Annotated[
    Path, PlainValidator(_local_path), WithJsonSchema({"type": "string", "minLength": 1})
]
"""A path, with `~` expanded; relative ones start from `base` of the validation's context."""

HiddenText = Annotated[
    Secret,
    PlainValidator(_secret),
    PlainSerializer(lambda _: MASK),
    WithJsonSchema({"type": "string"}),
]
"""A Secret; whatever a model is turned into, it shows as **redacted**."""
