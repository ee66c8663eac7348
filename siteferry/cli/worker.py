"""`siteferry worker`: the consumer process."""

from __future__ import annotations

import sys

import click

from siteferry.cli.options import GlobalOptions
from siteferry.errors import ConfigurationError


@click.command()
@click.option(
    "--concurrency",
    "-c",
    type=click.IntRange(1, 1024),
    help="Items carried at a time; default worker.concurrency of the configuration.",
)
@click.option(
    "--events",
    "-E",
    is_flag=True,
    help="Send task events at once, for monitors that do not ask as Flower does.",
)
@click.pass_obj
def worker(options: GlobalOptions, concurrency: int | None, events: bool) -> None:
    """Carry out the tasks of runs until stopped.

    Any number of workers may run, on any number of machines, with one Redis; each needs the
    configuration, the credentials, and the workspaces at the same path.

    \b
    SITEFERRY_REDIS_URL=redis://queue.example.com siteferry worker
    siteferry-probe alive           would a new start help it?
    siteferry-probe ready           does it take work?
    """
    settings = options.load(default_level="info")
    if settings.redis.url is None:
        raise ConfigurationError(
            "a worker of its own needs to know its Redis",
            next_step="Give --redis URL or SITEFERRY_REDIS_URL; `siteferry import` without them "
            "brings its own worker along.",
        )
    from siteferry.cli.ledger_access import wait_for_redis
    from siteferry.log import log_uncaught
    from worker.health import begin_health
    from worker.process import run_worker

    log_uncaught()
    with begin_health(settings) as health:
        wait_for_redis(settings, settings.redis.url)
        status = run_worker(
            settings,
            settings.redis.url,
            concurrency=concurrency or settings.worker.concurrency,
            events=events,
            health=health,
        )
    sys.exit(status)
