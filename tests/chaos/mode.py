"""How large: short for `make test`, long with SITEFERRY_LONG_TESTS=1 (`make chaos-long`)."""

from __future__ import annotations

from dataclasses import dataclass

from tests import long_tests
from tests.wordpress import FILES

MOST_CONNECTIONS = 8
"""Of the account, from all workers together."""


@dataclass(frozen=True, slots=True)
class Mode:
    """Sizes and bounds of a disturbed run.

    files: how many of WordPress' files are published; batch_files: how many make one task at most.
    kill_seconds, cut_seconds: from one killed worker, or session to cut, to the next.
    least_kills, least_cuts: what must have happened before the run ended, or it proves nothing.
    most_kills: after so many, workers and sessions are left alone.
    redis_restarts: spread over the files.
    few_connections: with so many, a run is still under way after a worker stood still.
    most_times: how many times the undisturbed time the disturbed run may take; None: printed only,
        for a short run is over before it has made up for one kill.
    """

    files: int
    batch_files: int
    kill_seconds: float
    cut_seconds: float
    least_kills: int
    least_cuts: int
    most_kills: int
    few_connections: int
    redis_restarts: int = 2
    most_times: float | None = None


SHORT = Mode(
    files=240,
    batch_files=16,
    kill_seconds=2.0,
    cut_seconds=0.5,
    least_kills=2,
    least_cuts=1,
    most_kills=6,
    few_connections=2,
)
LONG = Mode(
    files=FILES,
    batch_files=64,
    kill_seconds=2.0,
    cut_seconds=2.0,
    least_kills=8,
    least_cuts=4,
    most_kills=1000,
    few_connections=MOST_CONNECTIONS,
    most_times=4.0,
)
MODE = LONG if long_tests.LONG else SHORT
