"""What every way of showing progress can do, and which one a command uses."""

from __future__ import annotations

import sys
import time
from typing import Protocol, Self, TextIO

from siteferry.report.fleet_lines import FleetLines
from siteferry.report.lines import LinePrinter
from siteferry.run import Snapshot

MOST_APART = 6
"""Runs whose progress is shown one by one."""


class Printer(Protocol):
    """Shows runs on their way; snapshots of several runs may come in turns.

    To be used as a context manager, so that a terminal is as before whatever happens inside.
    """

    def __enter__(self) -> Self: ...

    def __exit__(self, *_raised: object) -> None: ...

    def update(self, snapshot: Snapshot) -> None:
        """Take in a newer snapshot of its run; whether it is shown now is the printer's choice."""

    def close(self, snapshot: Snapshot) -> None:
        """Show the last snapshot of its run, or take the run off the screen."""


class SilentPrinter:
    """Shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        """There is nothing to restore."""

    def update(self, snapshot: Snapshot) -> None:
        """Show nothing."""

    def close(self, snapshot: Snapshot) -> None:
        """Show nothing."""


def progress_stream(json: bool) -> TextIO:
    """Give standard output, or standard error where the output is to be nothing but JSON."""
    return sys.stderr if json else sys.stdout


def choose_printer(stream_isatty: bool, json: bool, quiet: bool, runs: int = 1) -> Printer:
    """Give a bar for a terminal, lines for anything else, nothing if `quiet`.

    For more than MOST_APART runs it shows their sums, and of those that go on only a few.

    `stream_isatty` tells whether `progress_stream(json)`, where it will print, is a terminal.
    """
    if quiet:
        return SilentPrinter()
    stream = progress_stream(json)
    if stream_isatty:
        from rich.console import Console

        from siteferry.report.bar import ProgressBar
        from siteferry.report.fleet_bar import FleetBar

        console = Console(file=stream)
        if not console.is_dumb_terminal:
            return FleetBar(console, runs) if runs > MOST_APART else ProgressBar(console)
    if runs > MOST_APART:
        return FleetLines(stream, time.monotonic, runs)
    return LinePrinter(stream, time.monotonic)
