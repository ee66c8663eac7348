"""Ends a run from outside: cancelled, or failed for want of a worker."""

from __future__ import annotations

from siteferry.dispatch.carry import failure_facts
from siteferry.errors import SiteferryError
from siteferry.ledger.connection import Connection
from siteferry.ledger.items import Items
from siteferry.ledger.runs import Runs
from siteferry.run import RunState


def end_run(
    connection: Connection, run: str, state: RunState, error: SiteferryError | None
) -> bool:
    """End `run` unless it has begun to publish; what waits for its account goes on by itself.

    Returns:
        False when it publishes, so cannot be ended any more.
    """
    facts = failure_facts(error) if error else None
    if Items(connection).fail_run(run, state, facts, spare_publish=True) is not None:
        return True
    current = Runs(connection).state(run)
    return current is None or current.ended
