"""`siteferry worker` with what no setting changes: another version, an earlier end of patience, and
a file item or a start that hangs.

    python -m tests.own_worker_program CONFIG REDIS [--version V] [--stalled SECONDS] [--fifo PATH]
        [--start PATH]

--fifo: file items of the website `stuck` read from it, as from a mount that is dead; nobody writes.
--start: the same for the start, once Redis has answered.
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
    parser.add_argument("--start", type=Path)
    arguments = parser.parse_args()
    # Before anything of it is imported, as if it were that version.
    siteferry.__version__ = arguments.version

    from siteferry.dispatch.runtime import Runtime
    from siteferry.dispatch.work import Work
    from siteferry.ledger.items import Finish, Later
    from siteferry.log import configure
    from siteferry.settings import Settings, load_settings
    from siteferry.settings.loading import override_redis_url
    from worker import process
    from worker.health import begin_health
    from worker.transfer import FilesStep

    configure("info", "text")
    carry = FilesStep.carry

    def hang(step: FilesStep, work: Work) -> Finish | Later:
        if arguments.fifo and work.website.name == "stuck":
            arguments.fifo.read_bytes()
        return carry(step, work)

    FilesStep.carry = hang  # type: ignore[method-assign]
    make_runtime = process.make_runtime

    def make_late(settings: Settings, redis_url: str, node: str) -> Runtime:
        if arguments.start:
            arguments.start.read_bytes()
        return make_runtime(settings, redis_url, node)

    process.make_runtime = make_late
    settings = override_redis_url(load_settings(arguments.config), arguments.redis)
    with begin_health(settings) as health:
        return process.run_worker(
            settings,
            arguments.redis,
            concurrency=2,
            events=False,
            health=health,
            stalled_seconds=arguments.stalled,
        )


if __name__ == "__main__":
    sys.exit(main())
