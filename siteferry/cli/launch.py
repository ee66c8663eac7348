"""Starts runs and waits for them: what `import`, `retry` and `plan` have in common."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import click

from siteferry.cli.ad_hoc_password import WithPassword
from siteferry.cli.following import POLL_SECONDS, follow
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

INTERRUPTED = 130
_SILENT_SECONDS = 6.0
"""A worker that has not beaten for five is dead."""


@dataclass(frozen=True, slots=True)
class Launch:
    """A ledger that runs can be started in, with workers that carry them out."""

    settings: Settings
    ledger: Ledger
    check: Callable[[], None]
    others: frozenset[str] = frozenset()
    """Workers of other commands on the private server, when this one came."""

    def start(
        self, website: Website, options: RunOptions, *, if_not_running: bool = False
    ) -> str | None:
        """Start a run; gives its name, or None where one is under way and that is all right.

        Raises:
            TargetHeld: another run holds the target.
        """
        from scheduler.start import start_import
        from siteferry.broker import make_broker

        broker = make_broker(
            self.ledger.url,
            username=self.ledger.username,
            password=self.ledger.password,
            tls=self.ledger.tls,
            prefix=self.settings.redis.key_prefix,
        )
        try:
            return start_import(self.ledger.connection, broker, website, options)
        except TargetHeld as error:
            if not self._is_orphan():
                if not if_not_running:
                    raise
                click.echo(f"{website.name}: {error.message}", err=True)
                return None
            held = error.run
        click.echo(f"{website.name}: finishing run {held} first, whose command is gone", err=True)
        if self.wait([held], as_json=True, quiet=True) is None:
            raise click.Abort
        return start_import(self.ledger.connection, broker, website, options)

    def _is_orphan(self) -> bool:
        """Whether the command that would carry out a run on the private server is gone, with its
        worker: after a loss of power, say. Our own worker has taken over what it left, then."""
        if not self.ledger.embedded:
            return False
        slots = SlotLedger(self.ledger.connection)
        end = time.monotonic() + _SILENT_SECONDS
        while self.others.intersection(slots.nodes()):
            if time.monotonic() > end:
                return False
            self.check()
            time.sleep(POLL_SECONDS)
        return True

    def wait(self, runs: Sequence[str], *, as_json: bool, quiet: bool) -> list[Snapshot] | None:
        """Follow runs until all have ended; None when the user has interrupted them before."""
        while True:
            try:
                return follow(
                    self.ledger.connection, runs, json=as_json, quiet=quiet, check=self.check
                )
            except KeyboardInterrupt:
                if self._end(runs, RunState.CANCELLED, None):
                    states = [Runs(self.ledger.connection).state(run) for run in runs]
                    if RunState.CANCELLED not in states:
                        continue  # all had ended by then, and are reported as they did
                    click.echo("interrupted: nothing of the live site was touched", err=True)
                    return None
                click.echo(
                    "publishing has begun and is only ever finished; interrupt again to leave it "
                    "to the next command",
                    err=True,
                )
            except NoWorker as error:
                self._end(runs, RunState.FAILED, error)
                raise

    def _end(self, runs: Sequence[str], state: RunState, error: SiteferryError | None) -> bool:
        """End runs that have not begun to publish; False when one has."""
        from scheduler.end import end_run

        ended = [end_run(self.ledger.connection, run, state, error) for run in runs]
        return all(ended)


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
