"""One worker process: Celery with a thread pool, and our own heartbeat, sweeper and sessions."""

from __future__ import annotations

import logging
import os
import signal
from types import FrameType

from celery import signals

from siteferry.broker import SHARED_QUEUE, own_queue, queue
from siteferry.dispatch.heartbeat import Keepers
from siteferry.dispatch.process import use_runtime
from siteferry.dispatch.runtime import Runtime, make_runtime, new_node_name
from siteferry.embedded.worker import PARENT_PIPE, watch_parent
from siteferry.log import get_logger
from siteferry.settings import Settings

_log = get_logger(__name__)


def run_worker(settings: Settings, redis_url: str, *, concurrency: int, events: bool) -> int:
    """Work until SIGTERM or SIGINT; gives the exit status of the process.

    Args:
        concurrency: threads, so the most items that this process carries at a time.
        events: send Celery's task events, which Flower needs and which cost some CPU.
    """
    node = new_node_name()
    runtime = make_runtime(settings, redis_url, node)
    use_runtime(runtime)
    app = runtime.broker.app
    app.conf.task_queues = [queue(SHARED_QUEUE), queue(own_queue(node))]
    # Logging is ours (siteferry.log); without a receiver Celery would set up its own.
    signals.setup_logging.connect(_keep_logging, weak=False)
    for name in ("celery.worker.strategy", "celery.app.trace"):
        # "received" and "succeeded" say less than our own "begun" and "ended".
        logging.getLogger(name).setLevel(logging.WARNING)
    worker = app.Worker(
        hostname=f"siteferry@{node}",
        pool="threads",
        concurrency=concurrency,
        prefetch_multiplier=1,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=not events,
        task_events=events,
        quiet=True,
        loglevel="WARNING",
    )
    keepers = Keepers(runtime)
    keepers.start()
    _follow_parent()
    _log.info("worker started", node=node, concurrency=concurrency)
    signals.worker_ready.connect(lambda **_: _stop_fast_when_idle(runtime, keepers), weak=False)
    try:
        worker.start()
    finally:
        _close(runtime, keepers)
    return int(worker.exitcode or 0)


def _stop_fast_when_idle(runtime: Runtime, keepers: Keepers) -> None:
    """Celery's warm shutdown takes a second even with nothing to do. A command's own worker, on a
    ledger where no run is left, has no task that could be lost: it closes what it holds, and ends.
    """
    if PARENT_PIPE not in os.environ:
        return
    warm = signal.getsignal(signal.SIGTERM)

    def stop(number: int, frame: FrameType | None) -> None:
        if not runtime.hands.all() and not runtime.runs.live():
            _close(runtime, keepers)
            logging.shutdown()
            os._exit(0)
        if callable(warm):
            warm(number, frame)

    signal.signal(signal.SIGTERM, stop)


def _close(runtime: Runtime, keepers: Keepers) -> None:
    """End the sessions, and write the hashes that are not yet written."""
    keepers.stop()
    runtime.hashes.close()
    _log.info("worker stopped", node=runtime.node)


def _keep_logging(**_: object) -> None:
    """Celery asks whether somebody else has set up logging: yes."""


def _follow_parent() -> None:
    """The worker of a command ends with the command, however that ended."""
    pipe = os.environ.get(PARENT_PIPE)
    if pipe:
        watch_parent(int(pipe), lambda: os.kill(os.getpid(), signal.SIGTERM))
