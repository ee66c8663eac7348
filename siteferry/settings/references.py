"""`${credential:[backend:]site/KEY}`: where a secret is kept, in place of the secret."""

from __future__ import annotations

import re
from dataclasses import dataclass

LONGEST_NAME = 128
"""Characters in the name of a site or of a key."""

_NAME = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}"
_REFERENCE = re.compile(
    rf"\$\{{credential:(?:(?P<backend>[a-z][a-z0-9_-]*):)?(?P<site>{_NAME})/(?P<key>{_NAME})\}}"
)
FORM = "${credential:SITE/KEY} or ${credential:BACKEND:SITE/KEY}"


@dataclass(frozen=True, slots=True)
class CredentialReference:
    """An entry of a credential store. `backend` None means the one that the settings select."""

    backend: str | None
    site: str
    key: str

    def __str__(self) -> str:
        backend = f"{self.backend}:" if self.backend else ""
        return f"${{credential:{backend}{self.site}/{self.key}}}"


def is_name(text: str) -> bool:
    """Whether a site or a key may be called so: letters, digits, `_`, and later also `.` or `-`."""
    return re.fullmatch(_NAME, text) is not None


def mentions_credential(text: str) -> bool:
    """Whether the text means to be a reference, well formed or not."""
    return "${credential:" in text


def parse_reference(text: str) -> CredentialReference | None:
    """Read the reference that `text` is; None where it is something else or badly formed."""
    found = _REFERENCE.fullmatch(text.strip())
    if found is None:
        return None
    return CredentialReference(found["backend"], found["site"], found["key"])
