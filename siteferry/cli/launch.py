"""Starts runs and waits for them: what `import`, `retry` and `plan` have in common."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from siteferry.cli.ad_hoc_password import WithPassword
from siteferry.cli.following import POLL_SECONDS, follow
from siteferry.cli.interrupting import Interrupted, tell_interrupted
from siteferry.cli.ledger_access import Ledger, open_ledger
from siteferry.cli.options import GlobalOptions
from siteferry.errors import NoWorker, SiteferryError, TargetHeld
from siteferry.ledger.accounts import StoppedAccounts
from siteferry.ledger.runs import Runs
from siteferry.ledger.slots import SlotLedger
from siteferry.run import RunState, Snapshot
from siteferry.settings import Settings
from siteferry.websites import Website, account, check_sources
from siteferry.websites.run_options import RunOptions

if TYPE_CHECKING:
    from siteferry.broker import Broker

INTERRUPTED = 130
_SILENT_SECONDS = 6.0
"""A worker that has not beaten for five is dead."""


@dataclass(frozen=True, slots=True)
class Waited:
    """The last snapshots of runs, in the order in which they were asked for.

    interrupted: by Ctrl-C, which has cancelled those that had not begun to publish.
    """

    snapshots: list[Snapshot]
    interrupted: bool = False

    @property
    def cut_short(self) -> bool:
        """Whether something was left undone for the interrupt."""
        return self.interrupted and any(s.state is RunState.CANCELLED for s in self.snapshots)


@dataclass(slots=True)
class Launch:
    """A ledger that runs can be started in, with workers that carry them out."""

    settings: Settings
    ledger: Ledger
    check: Callable[[], None]
    others: frozenset[str] = frozenset()
    """Workers of other commands on the private server, when this one came."""
    _broker: Broker | None = None
    _are_orphans: bool | None = None

    def start(
        self,
        website: Website,
        options: RunOptions,
        *,
        if_not_running: bool = False,
        quiet: bool = False,
    ) -> str | None:
        """Start a run; gives its name, or None where one is under way and that is all right.

        Args:
            quiet: do not say so, either.

        Raises:
            TargetHeld: another run holds the target.
        """
        try:
            return self.enter(website, options)
        except TargetHeld as error:
            if not self.are_orphans():
                if not if_not_running:
                    raise
                if not quiet:
                    click.echo(f"{website.name}: {error.message}", err=True)
                return None
            held = error.run
        click.echo(f"{website.name}: finishing run {held} first, whose command is gone", err=True)
        if self.wait([held], as_json=True, quiet=True).interrupted:
            raise click.Abort
        return self.enter(website, options)

    def enter(self, website: Website, options: RunOptions, run: str | None = None) -> str:
        """Enter a run into the ledger and send its first message; all go over one connection.

        Args:
            run: its name, where that must be known before.

        Raises:
            TargetHeld: another run holds the target.
            ConfigurationError: the website asks for something that this version does not do.
        """
        from scheduler.start import start_import
        from siteferry.broker import make_broker

        if self._broker is None:
            self._broker = make_broker(
                self.ledger.url,
                username=self.ledger.username,
                password=self.ledger.password,
                tls=self.ledger.tls,
                prefix=self.settings.redis.key_prefix,
            )
        return start_import(self.ledger.connection, self._broker, website, options, run)

    def are_orphans(self) -> bool:
        """Whether the commands that would carry out what runs on the private server are gone, with
        their workers: after a loss of power, say. Our own worker has taken over what they left,
        then. It is found out once."""
        if self._are_orphans is None:
            self._are_orphans = self.ledger.embedded and self._others_are_gone()
        return self._are_orphans

    def _others_are_gone(self) -> bool:
        slots = SlotLedger(self.ledger.connection)
        end = time.monotonic() + _SILENT_SECONDS
        while self.others.intersection(slots.nodes()):
            if time.monotonic() > end:
                return False
            self.check()
            time.sleep(POLL_SECONDS)
        return True

    def wait(
        self, runs: Sequence[str], *, as_json: bool, quiet: bool, interrupted: bool = False
    ) -> Waited:
        """Follow runs until all have ended. Ctrl-C cancels those that have not begun to publish.

        Args:
            interrupted: there was one already, and what could be cancelled is.

        Raises:
            NoWorker: none answers; the runs have been ended for it.
            click.Abort: Ctrl-C once more, which leaves to others what publishes.
        """
        while True:
            try:
                snapshots = follow(
                    self.ledger.connection, runs, json=as_json, quiet=quiet, check=self.check
                )
            except KeyboardInterrupt:
                if interrupted:
                    raise click.Abort from None
                interrupted = True
                tell_interrupted(self.cancel(runs))
            except NoWorker as error:
                self._end(runs, RunState.FAILED, error)
                raise
            else:
                return Waited(snapshots, interrupted)

    def cancel(self, runs: Sequence[str]) -> Interrupted:
        """End what has not begun to publish; gives how many of `runs` are what now."""
        self._end(runs, RunState.CANCELLED, None)
        found = Runs(self.ledger.connection).snapshots(runs).values()
        states = Counter(snapshot.state for snapshot in found)
        ended = sum(snapshot.state.ended for snapshot in found) - states[RunState.CANCELLED]
        return Interrupted(
            len(runs), states[RunState.CANCELLED], states[RunState.PUBLISHING], ended
        )

    def _end(self, runs: Sequence[str], state: RunState, error: SiteferryError | None) -> None:
        from scheduler.end import end_run

        for run in runs:
            end_run(self.ledger.connection, run, state, error)


@contextmanager
def launching(
    options: GlobalOptions,
    settings: Settings,
    websites: Sequence[Website],
    supplied: WithPassword | None = None,
) -> Iterator[Launch]:
    """Open the ledger, and bring a worker along where it is the private one.

    Args:
        supplied: for a website without a file, its password.

    Raises:
        ConfigurationError: the private worker would not find a source of `websites`.
    """
    with ExitStack() as stack:
        ledger = stack.enter_context(open_ledger(settings))
        check = ledger.check
        others: frozenset[str] = frozenset()
        if ledger.embedded:
            others = frozenset(SlotLedger(ledger.connection).nodes())
            for website in websites:
                # The worker is this machine's: what is missing here is missing for good.
                check_sources(website, settings)
            from siteferry.cli.own_worker import own_worker

            brought = supplied.environment if supplied is not None else {}
            check = stack.enter_context(own_worker(options, settings, ledger, brought))
        if supplied is not None and supplied.typed:
            StoppedAccounts(ledger.connection).resume(account(websites[0]))
        yield Launch(settings, ledger, check, others)
