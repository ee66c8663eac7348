"""`siteferry beat`: the scheduler's process."""

from __future__ import annotations

import sys

import click

from siteferry.cli.options import GlobalOptions
from siteferry.errors import ConfigurationError


@click.command()
@click.pass_obj
def beat(options: GlobalOptions) -> None:
    """Start the imports that schedules ask for, until stopped.

    Any number of schedulers may run with one Redis: each due time starts one run. They need the
    configuration and Redis, neither workspaces nor credentials. Changed website files are read
    within half a minute.

    \b
    SITEFERRY_REDIS_URL=redis://queue.example.com siteferry beat
    """
    settings = options.load(default_level="info")
    if settings.redis.url is None:
        raise ConfigurationError(
            "a scheduler needs to know its Redis",
            next_step="Give --redis URL or SITEFERRY_REDIS_URL, with workers that use the same; "
            "without one, start `siteferry import` from cron.",
        )
    from scheduler.process import run_beat
    from siteferry.log import log_uncaught

    log_uncaught()
    sys.exit(run_beat(settings, settings.redis.url))
