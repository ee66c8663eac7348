"""The worker that a command brings along when it uses the private server."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from siteferry.cli.ledger_access import Ledger
from siteferry.cli.options import GlobalOptions
from siteferry.embedded.worker import EmbeddedWorker
from siteferry.secret import Secret
from siteferry.settings import Settings


@contextmanager
def own_worker(
    options: GlobalOptions, settings: Settings, ledger: Ledger, brought: Mapping[str, Secret]
) -> Iterator[Callable[[], None]]:
    """Run `siteferry worker` beside the command; gives what the command calls while it waits.

    Args:
        brought: variables that its environment has beyond the command's.
    """
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
    environment = os.environ | {name: value.reveal() for name, value in brought.items()}
    with EmbeddedWorker(argv, environment, log_path) as worker:

        def check() -> None:
            ledger.check()
            worker.check()

        yield check
