"""The exit code that a run's outcome asks for."""

from __future__ import annotations

from collections.abc import Iterable

from siteferry.errors import RunCancelled
from siteferry.run import RunState, Snapshot

DONE = 0
SOME_FAILED = 1


def exit_code(snapshot: Snapshot) -> int:
    """Give the code of one run: 0 while it goes on, and when everything was done.

    A run that published although files had failed (`on_failure: publish`) is not 0 either.
    """
    match snapshot.state:
        case RunState.INCOMPLETE | RunState.FAILED:
            return max(SOME_FAILED, snapshot.error.exit_code if snapshot.error else SOME_FAILED)
        case RunState.CANCELLED:
            return RunCancelled.exit_code
        case RunState.DONE if snapshot.failed:
            return SOME_FAILED
    return DONE


def highest(codes: Iterable[int]) -> int:
    """Give the code of a command for several sites: the highest of theirs, 0 for none."""
    return max(codes, default=DONE)
