"""The encrypted store as bytes, format 1: a JSON object.

    siteferry_credentials   1
    key_id                  which key it is encrypted with
    stretching              null, or how that key is made from a passphrase (scrypt: salt, n, r, p)
    entries                 a Fernet token: {"siteferry_credentials": 1, "entries": {"SITE/KEY": …}}
    sha256                  of all that stands before: tells a damaged file from a wrong key

All entries are one token, so no value can be moved to another name or put back to an older one
without the key. An older file as a whole cannot be told from a backup that was put back.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import Field, ValidationError

from siteferry.credentials.base import Entry, checked_entry
from siteferry.credentials.keyring import Keyring, Stretching
from siteferry.errors import CredentialMalformed
from siteferry.secret import Secret
from siteferry.settings.values import Part

VERSION = 1
_MARK = "siteferry_credentials"
_HOW_ON = (
    "Put a backup of it in its place. Without one, move it away and add each entry again: "
    "siteferry credential add SITE KEY."
)


class _Stretching(Part):
    salt: str = Field(pattern=r"^[A-Za-z0-9+/]{22}==$")
    # Bounds, so that no file can take all memory; the lower ones keep a guess expensive.
    n: Literal[32768, 65536, 131072]
    r: Literal[8]
    p: int = Field(ge=1, le=4)


class Sealed(Part):
    """A store's file as it stands on the disk."""

    siteferry_credentials: Literal[1]
    key_id: str = Field(pattern=r"^[0-9a-f]{16}$")
    stretching: _Stretching | None
    entries: str
    sha256: str

    def how(self) -> Stretching | None:
        return Stretching(**self.stretching.model_dump()) if self.stretching else None


class _Inside(Part):
    siteferry_credentials: Literal[1]
    entries: dict[str, str]


_Model = TypeVar("_Model", Sealed, _Inside)


def parse(content: bytes, path: Path) -> Sealed:
    """Read the file's outer part; nothing is decrypted.

    Raises:
        CredentialMalformed: it is cut short, changed, of a newer format, or no such file.
    """
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        found = None
    version = found.get(_MARK) if isinstance(found, dict) else None
    if isinstance(version, int) and version > VERSION:
        raise CredentialMalformed(
            f"the credential store {path} has format {version}, written by a newer siteferry",
            next_step=f"Use that one; this one knows format {VERSION}.",
        )
    sealed = _validated(Sealed, content)
    if sealed is None or sealed.sha256 != _checksum(sealed.model_dump(exclude={"sha256"})):
        raise _malformed(path, "is cut short or was changed, or is no credential store")
    return sealed


def seal(entries: dict[Entry, Secret], keyring: Keyring) -> bytes:
    """The file for these entries, encrypted with the first key."""
    inside = {
        _MARK: VERSION,
        "entries": {str(name): value.reveal(masked=False) for name, value in entries.items()},
    }
    how = keyring.stretching
    outer: dict[str, Any] = {
        _MARK: VERSION,
        "key_id": keyring.first_id,
        "stretching": {"salt": how.salt, "n": how.n, "r": how.r, "p": how.p} if how else None,
        "entries": keyring.encrypt(json.dumps(inside).encode()),
    }
    return (json.dumps(outer | {"sha256": _checksum(outer)}, indent=1) + "\n").encode()


def unseal(sealed: Sealed, keyring: Keyring, path: Path) -> dict[Entry, Secret] | None:
    """The entries; None where the key is not in the ring.

    Raises:
        CredentialMalformed: the key is, and the entries are not what it has encrypted.
    """
    if not keyring.has(sealed.key_id):
        return None
    content = keyring.decrypt(sealed.entries)
    inside = None if content is None else _validated(_Inside, content)
    if inside is None:
        raise _malformed(path, "was changed by something else than siteferry")
    return {
        checked_entry(*name.partition("/")[::2]): Secret(value)
        for name, value in inside.entries.items()
    }


def _malformed(path: Path, how: str) -> CredentialMalformed:
    return CredentialMalformed(f"the credential store {path} {how}", next_step=_HOW_ON)


def _validated(model: type[_Model], content: bytes) -> _Model | None:
    # None, not raised from here: an error of pydantic's holds its input.
    try:
        return model.model_validate_json(content, strict=True)
    except ValidationError:
        return None


def _checksum(outer: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(outer, sort_keys=True).encode()).hexdigest()
