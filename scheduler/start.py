"""Starts a run: enters it into the ledger and sends its plan item."""

from __future__ import annotations

import datetime as dt

from siteferry import __version__
from siteferry.broker import Broker
from siteferry.errors import ConfigurationError
from siteferry.ledger.connection import Connection
from siteferry.ledger.runs import NewRun, Runs
from siteferry.ledger.schedules import Due
from siteferry.run import Direction, new_run_id
from siteferry.websites import Website, account, target
from siteferry.websites.run_options import RunOptions


def start_import(
    connection: Connection,
    broker: Broker,
    website: Website,
    options: RunOptions | None = None,
    run: str | None = None,
) -> str:
    """Start an import of `website`; neither its sources nor its credentials are needed for it.

    Args:
        run: its name, where the caller has to know it before; see `new_run_name`.

    Returns:
        The name of the run.

    Raises:
        TargetHeld: another run holds the target. A dry run holds none, and asks for none.
        ConfigurationError: the website asks for something that this version does not do.
        LedgerUnreachable: Redis does not answer.
    """
    new = _new_run(website, options or RunOptions(), run)
    broker.send(Runs(connection).start(new))
    return new.run


def start_due(connection: Connection, broker: Broker, website: Website, due: Due) -> str | None:
    """Start the import that is due, unless a scheduler has dealt with that due time already.

    Returns:
        The name of the run; None where the due time has been dealt with.

    Raises:
        TargetHeld: another run holds the target; `due` is skipped, or waits.
        ClockAhead: `due` lies far ahead of Redis' clock; nothing is done.
        ConfigurationError: the website asks for something that this version does not do.
        LedgerUnreachable: Redis does not answer. If the run is entered, workers send its message.
    """
    new = _new_run(website, RunOptions(), None)
    members = Runs(connection).start_due(new, due)
    if members is None:
        return None
    broker.send(members)
    return new.run


def _new_run(website: Website, options: RunOptions, run: str | None) -> NewRun:
    website = options.applied(website)
    refuse_what_is_not_there(website)
    run = run or new_run_name()
    return NewRun(
        run=run,
        site=website.name,
        direction=Direction.IMPORT,
        account=account(website),
        target=f"{target(website)} dry {run}" if options.dry_run else target(website),
        connections=website.ftp.max_connections,
        on_failure=website.on_failure,
        options=options.facts(),
        version=__version__,
    )


def new_run_name() -> str:
    """A name that no run has."""
    return new_run_id(dt.datetime.now(dt.UTC))


def refuse_what_is_not_there(website: Website) -> None:
    """Settings that a later version will honour must not be ignored in silence by this one."""
    asked = {
        "publish": website.publish != "staged",
        "keep_previous": bool(website.keep_previous),
        "verify": bool(website.verify),
        "after": bool(website.after),
    }
    missing = [key for key, is_asked in asked.items() if is_asked]
    if missing:
        raise ConfigurationError(
            f"website {website.name}: this version does not do {', '.join(missing)} yet",
            next_step="Remove these keys, or set them to their defaults.",
        )
