"""Runs imports in the test's own process: the real ledger, steps and sessions, without Celery.

For tests that need hundreds of imports, or to stop between two commands. What Celery adds is shown
by the acceptance tests, which run the real command and workers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from scheduler.directories import DirectoryStep
from scheduler.plan import PlanStep
from scheduler.start import start_import
from siteferry.credentials import Stores
from siteferry.dispatch.carry import carry
from siteferry.dispatch.heartbeat import sweep
from siteferry.dispatch.runtime import LoginGate, Runtime, SharedSlots
from siteferry.dispatch.work import Step
from siteferry.ftp.pool import SessionPool
from siteferry.ledger.accounts import StoppedAccounts
from siteferry.ledger.connection import connect
from siteferry.ledger.items import Items
from siteferry.ledger.profiles import ProfileLedger
from siteferry.ledger.runs import Runs
from siteferry.ledger.slots import SlotLedger
from siteferry.run import ItemKind, Member, Snapshot
from siteferry.settings import load_settings
from siteferry.websites import load_website
from siteferry.websites.run_options import RunOptions
from tests.installation import Installation
from tests.private_redis import RedisServer
from worker.publish import PublishStep
from worker.transfer import FilesStep

STEPS: dict[ItemKind, Step] = {
    ItemKind.PLAN: PlanStep(),
    ItemKind.DIRECTORY: DirectoryStep(),
    ItemKind.FILES: FilesStep(),
    ItemKind.PUBLISH: PublishStep(),
}


@dataclass
class Queue:
    """Takes the broker's place: what may run now, in order."""

    members: deque[Member] = field(default_factory=deque)

    def send(self, members: Sequence[Member]) -> None:
        self.members.extend(members)


def _pretend(_seconds: float) -> None:
    """For a machine that is alone: nothing happens while it waits."""


def make_worker(
    installation: Installation,
    redis: RedisServer,
    node: str = "inline",
    sleep: Callable[[float], None] = _pretend,
) -> Runtime:
    """One worker's runtime, to be driven by `work_off`. `sleep` is called where it has to wait for
    somebody else's sign of life."""
    settings = load_settings(installation.folder / "config/siteferry.yaml")
    connection = connect(redis.url, patience_seconds=1)
    slots = SlotLedger(connection)
    tokens = iter(range(10**6))
    return Runtime(
        settings=settings,
        node=node,
        connection=connection,
        broker=Queue(),  # type: ignore[arg-type]
        pool=SessionPool(
            SharedSlots(slots),
            ProfileLedger(connection),
            LoginGate(StoppedAccounts(connection)),
            new_token=lambda: f"{node}.{next(tokens)}",
        ),
        items=Items(connection),
        runs=Runs(connection),
        slots=slots,
        stores=Stores(settings),
        sleep=sleep,
    )


def start(runtime: Runtime, site: str = "example", options: RunOptions | None = None) -> str:
    """Start an import; gives the run."""
    website = load_website(site, runtime.settings)
    return start_import(runtime.connection, runtime.broker, website, options)


def work_off(runtime: Runtime, run: str, until: Callable[[], bool] = lambda: False) -> Snapshot:
    """Carry items until the run has ended, or `until` says so between two items."""
    queue: deque[Member] = runtime.broker.members  # type: ignore[attr-defined]
    while not until():
        state = runtime.runs.state(run)
        if state is None or state.ended:
            break
        if queue:
            member = queue.popleft()
            carry(runtime, member, STEPS[ItemKind.of(member.item)])
        else:
            sweep(runtime)
    return runtime.runs.snapshot(run)


def import_now(
    installation: Installation,
    redis: RedisServer,
    site: str = "example",
    sleep: Callable[[float], None] = _pretend,
    **options: Any,
) -> Snapshot:
    """One import from start to end, by one worker, which closes its sessions.

    `options` are fields of RunOptions; `sleep` is as for `make_worker`.
    """
    runtime = make_worker(installation, redis, sleep=sleep)
    try:
        return work_off(runtime, start(runtime, site, RunOptions(**options)))
    finally:
        runtime.pool.close_idle(everything=True)
        runtime.connection.client.close()
