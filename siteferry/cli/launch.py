"""Starts runs and waits for them: what `import`, `retry` and `plan` have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import click

from siteferry.cli.ad_hoc_password import WithPassword
from siteferry.cli.following import follow
from siteferry.cli.ledger_access import Ledger, open_ledger
from siteferry.cli.options import GlobalOptions
from siteferry.errors import NoWorker, SiteferryError, TargetHeld
from siteferry.ledger.accounts import StoppedAccounts
from siteferry.run import RunState, Snapshot
from siteferry.settings import Settings
from siteferry.websites import Website, account, check_sources
from siteferry.websites.run_options import RunOptions

INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Launch:
    """A ledger that runs can be started in, with workers that carry them out."""

    settings: Settings
    ledger: Ledger
    check: Callable[[], None]

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
            prefix=self.settings.redis.key_prefix,
        )
        try:
            return start_import(self.ledger.connection, broker, website, options)
        except TargetHeld as error:
            if not if_not_running:
                raise
            click.echo(f"{website.name}: {error.message}", err=True)
            return None

    def wait(self, runs: Sequence[str], *, as_json: bool, quiet: bool) -> list[Snapshot] | None:
        """Follow runs until all have ended; None when the user has interrupted them before."""
        while True:
            try:
                return follow(
                    self.ledger.connection, runs, json=as_json, quiet=quiet, check=self.check
                )
            except KeyboardInterrupt:
                if self._end(runs, RunState.CANCELLED, None):
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
        if ledger.embedded:
            for website in websites:
                # The worker is this machine's: what is missing here is missing for good.
                check_sources(website, settings)
            from siteferry.cli.own_worker import own_worker

            brought = supplied.environment if supplied is not None else {}
            check = stack.enter_context(own_worker(options, settings, ledger, brought))
        if supplied is not None and supplied.typed:
            StoppedAccounts(ledger.connection).resume(account(websites[0]))
        yield Launch(settings, ledger, check)
