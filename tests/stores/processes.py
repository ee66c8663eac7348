"""Other processes that use a store: forked, so that nothing has to be importable for them."""

from __future__ import annotations

import fcntl
import os
import signal
import traceback
import warnings
from collections.abc import Callable
from typing import Any

import pytest

STEPS = [(os, name) for name in ("open", "fchmod", "fsync", "replace", "unlink")] + [
    (fcntl, "flock")
]


def forked(function: Callable[[], object]) -> int:
    """Start a process that calls `function` and ends, with 0 if it raised nothing. Its id."""
    with warnings.catch_warnings():
        # Python 3.12 warns where threads run: the child calls one function and leaves by _exit.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        code = 1
        try:
            function()
            code = 0
        except BaseException:  # noqa: BLE001  # pytest of the child must not go on
            os.write(2, traceback.format_exc().encode())
        finally:
            os._exit(code)
    return child


def killed_at_step(number: int, function: Callable[[], object]) -> bool:
    """Call `function` in a process that is killed just before its file operation of that number.

    Returns: False where it came to its end before; it must have succeeded then.
    """

    def with_an_end() -> None:
        left = number

        def counted(operation: Callable[..., Any]) -> Callable[..., Any]:
            def call(*args: Any, **kwargs: Any) -> Any:
                nonlocal left
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return operation(*args, **kwargs)

            return call

        patch = pytest.MonkeyPatch()
        for module, name in STEPS:
            patch.setattr(module, name, counted(getattr(module, name)))
        function()

    _, status = os.waitpid(forked(with_an_end), 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0
    return False
