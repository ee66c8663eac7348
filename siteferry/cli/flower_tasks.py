"""What Flower's pages show of a task."""

from __future__ import annotations

from typing import Any

from siteferry.secret import redact

COLUMNS = {
    "name": "Task",
    "args": "Website and directory",
    "state": "State",
    "result": "Outcome",
    "received": "Received",
    "runtime": "Runtime",
    "worker": "Worker",
    "kwargs": "Run",
}
"""Of the list of tasks: Flower's names for them, and what stands above them."""
_ENDED_BADLY = ("FAILURE", "RETRY")
_OURS = "ItemEnded: "


def shown_task(task: Any) -> Any:
    """The task with its outcome in one place: as the result stands what was done, or why it failed
    or is tried again; as the traceback, instead of Celery's calls, what siteferry says of it.

    Args:
        task: Flower's copy of what it knows (`celery.events.state.Task`).
    """
    if task.state in _ENDED_BADLY and task.exception:
        task.result = redact(task.exception)
    elif task.result:
        task.result = _unquoted(task.result)
    if task.traceback and _OURS in task.traceback:
        task.traceback = redact(task.traceback.rpartition(_OURS)[2].rstrip())
    return task


def _unquoted(text: str) -> str:
    quote = text[:1]
    is_quoted = len(text) > 1 and quote in "'\"" and text.endswith(quote)
    return text[1:-1] if is_quoted else text
