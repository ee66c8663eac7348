"""What is said when a configuration is refused, and that it quotes nothing of the file."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from siteferry.errors import ConfigurationError

MARKED = "hunter2/S3cret"
"""Stands for a password, or for one that slipped to another key; no message may hold it."""


def refusal(load: Callable[[], object]) -> str:
    """Give the message of the ConfigurationError that `load` must end in."""
    with pytest.raises(ConfigurationError) as caught:
        load()
    for shown in (str(caught.value), repr(caught.value)):
        assert MARKED not in shown
    assert caught.value.__cause__ is None, "a chained error would show the file in a traceback"
    assert caught.value.__context__ is None
    return str(caught.value)
