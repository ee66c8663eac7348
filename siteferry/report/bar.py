"""Live progress on a terminal: a line for each run, drawn by rich."""

from __future__ import annotations

import sys
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from siteferry.report.as_text import one_line, progress_facts
from siteferry.report.figures import Rate, totals_known
from siteferry.run import RunState, Snapshot


class ProgressBar:
    """Shows each run's phase, files, bytes, rate and time left; vanishes when it is closed.

    `auto_refresh` keeps the animation going between updates, from a thread of rich's.
    """

    def __init__(self, console: Console, *, auto_refresh: bool = True) -> None:
        self._progress = Progress(
            # Names are text: rich's markup in them is not obeyed.
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[facts]}", markup=False),
            console=console,
            auto_refresh=auto_refresh,
            transient=True,
            expand=True,
            # Other output is drawn above the bar where it goes to a terminal as well, but what
            # the user has sent to a file stays there.
            redirect_stdout=sys.stdout.isatty(),
            redirect_stderr=sys.stderr.isatty(),
        )
        self._tasks: dict[str, TaskID] = {}
        self._rates: dict[str, Rate] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_raised: object) -> None:
        self._progress.stop()

    def update(self, snapshot: Snapshot) -> None:
        """Draw `snapshot` in the place of the one before it."""
        rate = self._rates.setdefault(snapshot.run, Rate())
        rate.add(snapshot.now, snapshot.moved_bytes)
        done, total = _extent(snapshot)
        description = one_line(f"{snapshot.site} {snapshot.state.value}")
        facts = one_line(", ".join(progress_facts(snapshot, rate.bytes_per_second)))
        task = self._tasks.get(snapshot.run)
        if task is None:
            self._tasks[snapshot.run] = self._progress.add_task(
                description, completed=done, total=total, facts=facts
            )
        else:
            self._progress.update(
                task,
                description=description,
                completed=done,
                total=total,
                facts=facts,
                refresh=not self._progress.live.auto_refresh,
            )

    def close(self, snapshot: Snapshot) -> None:
        """Take the run of `snapshot` off the screen; its report says the rest."""
        task = self._tasks.pop(snapshot.run, None)
        self._rates.pop(snapshot.run, None)
        if task is not None:
            self._progress.remove_task(task)


def _extent(snapshot: Snapshot) -> tuple[int, int | None]:
    """Give how far the bar reaches and of what; None makes it pulse."""
    if snapshot.state in (RunState.QUEUED, RunState.PLANNING) or not totals_known(snapshot):
        return 0, None
    if snapshot.bytes_to_send:
        return snapshot.moved_bytes, snapshot.bytes_to_send
    # Nothing to send, or empty files only.
    return (snapshot.transferred, snapshot.files_to_send) if snapshot.files_to_send else (1, 1)
