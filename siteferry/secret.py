"""A value that must not be seen: it prints **redacted** and refuses to be pickled or copied out."""

from __future__ import annotations

import hmac
from typing import NoReturn
from urllib.parse import quote

MASK = "**redacted**"
_SHORTEST_MASKED = 4

_revealed: set[str] = set()


class Secret:
    """Holds one secret string. Only `reveal()` gives it back; grep for that to find every use."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self, *, masked: bool = True) -> str:
        """Give the value, and have `redact` mask it in every text from now on.

        Args:
            masked: False for a value that is kept like a secret and is none, such as a user name
                (masking `www` would blacken half of every log).
        """
        if masked and len(self._value) >= _SHORTEST_MASKED:
            # Inside a repr or a URL it looks different and is the same secret.
            _revealed.update(
                (
                    self._value,
                    repr(self._value)[1:-1],
                    quote(self._value, safe="", errors="surrogateescape"),
                )
            )
        return self._value

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(
            self._value.encode("utf-8", "surrogateescape"),
            other._value.encode("utf-8", "surrogateescape"),
        )

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(
            "a Secret is never pickled or copied; pass the credential's reference instead"
        )


def redact(text: str) -> str:
    """Replace in `text` every secret that this process has revealed (a server may echo one)."""
    # A copy, for other threads may reveal meanwhile; the longest first, so that a secret that
    # begins with another one leaves no tail.
    for value in sorted(_revealed.copy(), key=len, reverse=True):
        if value in text:
            text = text.replace(value, MASK)
    return text
