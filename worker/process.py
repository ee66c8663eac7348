"""One worker process: Celery with a thread pool, and our own heartbeat, sweeper and sessions."""

from __future__ import annotations

import logging
import os
import signal
from dataclasses import replace

from celery import signals

from siteferry.broker import SHARED_QUEUE, own_queue, queue
from siteferry.dispatch.handing_back import hand_back
from siteferry.dispatch.heartbeat import STALLED_SECONDS, Keepers
from siteferry.dispatch.lives import begin_life, end_life
from siteferry.dispatch.process import use_runtime
from siteferry.dispatch.runtime import Runtime, make_runtime
from siteferry.embedded.worker import PARENT_PIPE, watch_parent
from siteferry.ledger.items import Fate
from siteferry.log import get_logger
from siteferry.settings import Settings
from worker.health import TellTurning, WorkerHealth
from worker.stopping import Stopping, TellStopping

_BURIAL_PATIENCE_SECONDS = 5.0
_COMMAND_GRACE_SECONDS = 4.0
"""At most, for a command's own worker: the next command waits six seconds for it to be gone (see
`siteferry.cli.launch`), and a command that ends kills it after ten."""

_log = get_logger(__name__)


def run_worker(
    settings: Settings,
    redis_url: str,
    *,
    concurrency: int,
    events: bool,
    health: WorkerHealth,
    stalled_seconds: float = STALLED_SECONDS,
) -> int:
    """Work until SIGTERM or SIGINT; gives the exit status of the process. Redis has answered.

    Args:
        health: was begun by the caller, who ends it; it names the node.
        stalled_seconds: silence after which a thread counts as hung.
        concurrency: threads, so the most items that this process carries at a time.
        events: send Celery's task events from the start, not only once Flower asks for them.
    """
    health.starting.goes_on()
    node = health.node
    runtime = make_runtime(settings, redis_url, node)
    runtime.hands.threads = concurrency
    use_runtime(runtime)
    app = runtime.broker.app
    # Before anything is sent: Celery looks at its queues once.
    app.conf.task_queues = [queue(SHARED_QUEUE), queue(own_queue(node))]
    lock = begin_life(
        settings.state_dir / "workers",
        f"{redis_url} {settings.redis.key_prefix}",
        node,
        lambda dead: _bury(runtime, dead),
    )
    # Logging is ours (siteferry.log); without a receiver Celery would set up its own.
    signals.setup_logging.connect(_keep_logging, weak=False)
    for name in ("celery.worker.strategy", "celery.app.trace"):
        # "received" and "succeeded" say less than our own "begun" and "ended".
        logging.getLogger(name).setLevel(logging.WARNING)
    keepers = Keepers(runtime, stalled_seconds)
    grace_seconds = settings.worker.grace_seconds
    is_a_commands = PARENT_PIPE in os.environ
    if is_a_commands:
        grace_seconds = min(grace_seconds, _COMMAND_GRACE_SECONDS)
    stopping = Stopping(runtime, keepers, grace_seconds, health.tell, lambda: end_life(lock))
    app.steps["worker"].update((TellStopping, TellTurning))
    worker = app.Worker(
        hostname=f"siteferry@{node}",
        pool="threads",
        concurrency=concurrency,
        prefetch_multiplier=1,
        without_gossip=True,
        without_mingle=True,
        # With it (one event in two seconds) Flower sees the worker, and can switch on those of
        # tasks when it comes; a command's own worker is gone before anybody looks.
        without_heartbeat=is_a_commands and not events,
        task_events=events,
        quiet=True,
        loglevel="WARNING",
        stopping=stopping,
        turning=health.turning,
    )
    health.watch(worker, runtime, keepers, stopping)
    stopping.install(worker)
    keepers.start()
    _follow_parent()
    _log.info("worker started", node=node, concurrency=concurrency)
    try:
        worker.start()
    finally:
        stopping.finish()
    return int(worker.exitcode or 0)


def _bury(runtime: Runtime, dead: str) -> None:
    connection = replace(runtime.connection, patience_seconds=_BURIAL_PATIENCE_SECONDS)
    given = hand_back(connection, runtime.broker, dead, Fate.KILLED)
    _log.info("an earlier worker has died", dead=dead, handed_back=given)


def _keep_logging(**_: object) -> None:
    """Celery asks whether somebody else has set up logging: yes."""


def _follow_parent() -> None:
    """The worker of a command ends with the command, however that ended."""
    pipe = os.environ.get(PARENT_PIPE)
    if pipe:
        watch_parent(int(pipe), lambda: os.kill(os.getpid(), signal.SIGTERM))
