"""A website that no run could be started for, in the shape of the runs that it is told with."""

from __future__ import annotations

from siteferry.errors import SiteferryError
from siteferry.run import Direction, RunFailure, RunState, Snapshot


def not_started(
    site: str, error: SiteferryError, direction: Direction = Direction.IMPORT
) -> Snapshot:
    """A failed run of `site` without a name, in which nothing was done, for the reason `error`."""
    failure = RunFailure(
        type(error).__name__, error.message, error.reply, error.next_step, error.exit_code
    )
    return Snapshot("", site, direction, RunState.FAILED, created=0.0, now=0.0, error=failure)
