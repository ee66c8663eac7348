"""Tests of leaks without the net: what siteferry knows as a secret is not masked."""

from __future__ import annotations

import pytest

from siteferry import secret


class _Forgetful(set[str]):
    def update(self, *_values: object) -> None:
        """Keep nothing."""


def mask_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a secret in a message is seen there, and is not the test's own `**redacted**`."""
    monkeypatch.setattr(secret, "_revealed", _Forgetful())
