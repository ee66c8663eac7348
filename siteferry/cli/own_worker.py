"""The worker that a command brings along when it uses the private server."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from siteferry.cli.ledger_access import Ledger
from siteferry.cli.options import GlobalOptions
from siteferry.embedded.worker import EmbeddedWorker
from siteferry.settings import Settings


@contextmanager
def own_worker(
    options: GlobalOptions, settings: Settings, ledger: Ledger
) -> Iterator[Callable[[], None]]:
    """Run `siteferry worker` beside the command; gives what the command calls while it waits."""
    argv = [sys.executable, "-m", "siteferry", "--redis", ledger.url]
    if options.config is not None:
        argv += ["--config", str(options.config)]
    if options.log_level is not None:
        argv += ["--log-level", options.log_level]
    if options.log_format is not None:
        argv += ["--log-format", options.log_format]
    if options.credential_backend is not None:
        argv += ["--credential-backend", options.credential_backend]
    argv += ["worker", "--concurrency", str(settings.worker.concurrency)]
    log_path = None if options.log_level else settings.state_dir / "worker.log"
    with EmbeddedWorker(argv, os.environ, log_path) as worker:

        def check() -> None:
            ledger.check()
            worker.check()

        yield check
