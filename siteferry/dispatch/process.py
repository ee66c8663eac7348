"""The runtime of this worker process, where tasks find it."""

from __future__ import annotations

from siteferry.dispatch.runtime import Runtime

_runtime: list[Runtime] = []


def use_runtime(runtime: Runtime) -> None:
    """Make `runtime` the one of this process; the worker does it once, before the first task."""
    _runtime[:] = [runtime]


def current_runtime() -> Runtime:
    """The runtime of this process.

    Raises:
        RuntimeError: called outside a siteferry worker.
    """
    if not _runtime:
        raise RuntimeError("siteferry's tasks run only in a process started by `siteferry worker`")
    return _runtime[0]
