"""`siteferry flower`: the tasks of all workers on a web page, behind a login."""

from __future__ import annotations

from importlib.util import find_spec

import click

from siteferry.cli.options import GlobalOptions
from siteferry.errors import ConfigurationError


@click.command()
@click.option("--address", metavar="ADDRESS", help="Where it listens; default flower.address.")
@click.option("--port", type=click.IntRange(1, 65535), help="Default flower.port.")
@click.pass_obj
def flower(options: GlobalOptions, address: str | None, port: int | None) -> None:
    """Show the tasks of all workers on a web page (Flower).

    It needs a password, and shows nothing to who does not log in with it. What it shows are names
    of websites, directories and files, and what hosts have answered: never a secret.

    \b
    SITEFERRY_FLOWER_PASSWORD_FILE=flower.password siteferry flower
    """
    settings = options.load(default_level="info")
    if settings.redis.url is None:
        raise ConfigurationError(
            "Flower needs to know the Redis of the workers",
            next_step="Give --redis URL or SITEFERRY_REDIS_URL. The private Redis of "
            "`siteferry import` is there only as long as the command.",
        )
    if find_spec("flower") is None:
        raise ConfigurationError(
            "Flower is not installed", next_step="Install it: pip install 'siteferry[flower]'"
        )
    from siteferry.cli.flower_server import serve
    from siteferry.credentials.cache import Stores
    from siteferry.credentials.resolve import resolve_flower_password
    from siteferry.log import log_uncaught

    log_uncaught()
    password = resolve_flower_password(Stores(settings))
    given = {"address": address, "port": port}
    changes = {key: value for key, value in given.items() if value is not None}
    flower_settings = settings.flower.model_copy(update=changes)
    serve(settings, settings.redis.url, flower_settings, password)
