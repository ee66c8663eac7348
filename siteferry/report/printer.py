"""What every way of showing progress can do, and which one a command uses."""

from __future__ import annotations

import sys
import time
from typing import Protocol, Self, TextIO

from siteferry.report.lines import LinePrinter
from siteferry.run import Snapshot


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


def choose_printer(stream_isatty: bool, json: bool, quiet: bool) -> Printer:
    """Give a bar for a terminal, lines for anything else, nothing if `quiet`.

    `stream_isatty` tells whether `progress_stream(json)`, where it will print, is a terminal.
    """
    if quiet:
        return SilentPrinter()
    stream = progress_stream(json)
    if stream_isatty:
        from rich.console import Console

        from siteferry.report.bar import ProgressBar

        console = Console(file=stream)
        if not console.is_dumb_terminal:
            return ProgressBar(console)
    return LinePrinter(stream, time.monotonic)
