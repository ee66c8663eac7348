"""`siteferry worker` with what no setting changes: another version, an earlier end of patience, and
a file item that hangs.

    python -m tests.own_worker_program CONFIG REDIS [--version V] [--stalled SECONDS] [--fifo PATH]

--fifo: file items of the website `stuck` read from it, as from a mount that is dead; nobody writes.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import siteferry


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("config", type=Path)
    parser.add_argument("redis")
    parser.add_argument("--version", default=siteferry.__version__)
    parser.add_argument("--stalled", type=float, default=180.0)
    parser.add_argument("--fifo", type=Path)
    arguments = parser.parse_args()
    # Before anything of it is imported, as if it were that version.
    siteferry.__version__ = arguments.version

    from siteferry.dispatch.work import Work
    from siteferry.ledger.items import Finish, Later
    from siteferry.log import configure
    from siteferry.settings import load_settings
    from siteferry.settings.loading import override_redis_url
    from worker.health import begin_health
    from worker.process import run_worker
    from worker.transfer import FilesStep

    configure("info", "text")
    carry = FilesStep.carry

    def hang(step: FilesStep, work: Work) -> Finish | Later:
        if arguments.fifo and work.website.name == "stuck":
            arguments.fifo.read_bytes()
        return carry(step, work)

    FilesStep.carry = hang  # type: ignore[method-assign]
    settings = override_redis_url(load_settings(arguments.config), arguments.redis)
    with begin_health(settings) as health:
        return run_worker(
            settings,
            arguments.redis,
            concurrency=2,
            events=False,
            health=health,
            stalled_seconds=arguments.stalled,
        )


if __name__ == "__main__":
    sys.exit(main())
