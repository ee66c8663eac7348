"""What Flower's pages show of a task."""

from __future__ import annotations

from typing import Any

from siteferry.secret import redact

COLUMNS = {
    "name": "Task",
    "args": "Directory or files",
    "state": "State",
    "result": "Outcome",
    "uuid": "Run, item, attempt",
    "received": "Received",
    "runtime": "Runtime",
    "worker": "Worker",
}
"""Of the list of tasks: Flower's names for them, and what stands above them. In a window of 1280
pixels it ends within `uuid`, which is the link to a task's own page."""

_ENDED_BADLY = ("FAILURE", "RETRY")
_OURS = "\nsiteferry.task_states."
_PACKAGE = "siteferry."


def shown_task(task: Any) -> Any:
    """The task in fewer words, with its outcome in one place: as the result stands what was done,
    or why it failed or is tried again; as the traceback, instead of Celery's calls, what siteferry
    says of it. Searches find a task by what it is called in full.

    Args:
        task: Flower's copy of what it knows (`celery.events.state.Task`).
    """
    name, arguments = task.name or "", task.args or ""
    task.name = name.removeprefix(_PACKAGE)
    site = name.partition("[")[2].removesuffix("]")
    task.args = arguments.removeprefix(f"{site}: ")
    if task.state in _ENDED_BADLY and task.exception:
        # In its place, not beside it.
        task.result, task.exception = redact(task.exception), None
    elif task.result:
        task.result = _unquoted(task.result)
    _, is_ours, words = (task.traceback or "").partition(_OURS)
    if is_ours:
        # Class and reason, which is the result already; then what siteferry says of it.
        task.traceback = redact(words.rstrip().partition("\n")[2]) or None
    return task


def _unquoted(text: str) -> str:
    quote = text[:1]
    is_quoted = len(text) > 1 and quote in "'\"" and text.endswith(quote)
    return text[1:-1] if is_quoted else text
