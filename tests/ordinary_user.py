"""Calling a function as a user whom permissions bind: root passes all of them."""

from __future__ import annotations

import os
import pickle
import traceback
import warnings
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

NOBODY = 65534
"""User and group id."""

_P = ParamSpec("_P")
_T = TypeVar("_T")


def as_ordinary_user(function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Give what `function` gives, or raise what it raises, when run without root's rights.

    Root's call happens in a forked child that has become nobody, so that nothing needs to be
    importable or readable for that user; only the result comes back, and must be picklable. What
    the function must read lies outside pytest's own directories, which are their owner's alone.
    """
    if os.geteuid() != 0:
        return function(*args, **kwargs)
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        # Python 3.12 warns where threads run: the child calls one function and leaves by _exit.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        os.close(reading)
        answer = _answer(function, args, kwargs)
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(answer)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    succeeded, value = pickle.loads(answer)  # noqa: S301  # written by our own child
    if not succeeded:
        raise value
    return cast("_T", value)


def _answer(function: Callable[..., Any], args: Any, kwargs: Any) -> bytes:
    try:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        outcome = (True, function(*args, **kwargs))
    except BaseException as error:  # noqa: BLE001  # the parent raises it
        error.add_note("as an ordinary user:\n" + traceback.format_exc())
        outcome = (False, error)
    try:
        answer = pickle.dumps(outcome)
        pickle.loads(answer)  # noqa: S301  # some exceptions can be written and not read
    except Exception:  # noqa: BLE001  # whatever pickle says, the parent gets the text
        answer = pickle.dumps((False, RuntimeError(f"cannot be carried over: {outcome!r}")))
    return answer
