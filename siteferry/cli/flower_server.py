"""Flower in this process: set up from our settings alone, behind our login."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import signal
import threading
from concurrent.futures import Future, InvalidStateError
from types import FrameType
from typing import Any

from flower.options import default_options
from flower.urls import settings as default_settings
from flower.views.tasks import TASK_COLUMNS

from siteferry.broker import broker_of
from siteferry.cli.flower_events import SteadyEvents
from siteferry.cli.flower_gate import GuardedFlower, inner_login, log_request
from siteferry.cli.flower_tasks import COLUMNS, shown_task
from siteferry.cli.ledger_access import wait_for_redis
from siteferry.credentials.cache import Stores
from siteferry.credentials.resolve import resolve_redis_password
from siteferry.errors import ConfigurationError
from siteferry.log import get_logger
from siteferry.secret import Secret
from siteferry.settings import Settings
from siteferry.settings.flower import FlowerSettings

_RUNTIME_SECONDS = [1.0, 5.0, 30.0, 120.0]
"""The classes of Flower's histogram, which it keeps for each worker, website and kind of item; by
default it has fifteen."""

_log = get_logger(__name__)


def serve(settings: Settings, redis_url: str, flower: FlowerSettings, password: Secret) -> None:
    """Run Flower until SIGTERM or SIGINT. Options of its own, on a command line, in a file or in
    `FLOWER_` variables, are not read.

    It listens at once, and waits for a Redis that is away then: whoever asks `/healthcheck` must
    not take that for a Flower that hangs, and start it anew.

    Raises:
        ConfigurationError: it cannot listen there; or Redis' password or files are not to be had.
        LedgerUnreachable: Redis refuses us.
    """
    # Without a worker it warns of each question that nobody has answered.
    logging.getLogger("flower.inspector").setLevel(logging.ERROR)
    app = _celery(settings, redis_url)
    prefix = f"/{flower.url_prefix}" if flower.url_prefix else ""
    inner = inner_login()
    _set_options(flower, inner)
    served = GuardedFlower(
        login=Secret(f"{flower.user}:{password.reveal()}"),
        inner=inner,
        prefix=prefix,
        capp=app,
        events=SteadyEvents(app),
        options=default_options,
        log_function=log_request,
        **default_settings
        | {
            "static_url_prefix": f"{prefix}/static/",
            "login_url": f"{prefix}/login",
        },
    )
    try:
        served.start_http_server()
    except OSError as error:
        raise ConfigurationError(
            f"Flower cannot listen at {flower.address}, port {flower.port}: {error.strerror}",
            next_step="Choose another --port or flower.port, or end what listens there.",
        ) from error
    is_there: Future[None] = Future()
    stopping = _stop_on_signals(served, is_there)
    _ask_for_redis(settings, redis_url, is_there)
    _log.info("Flower started", url=f"http://{_host(flower.address)}:{flower.port}{prefix}/")
    served.io_loop.run_sync(lambda: asyncio.wrap_future(is_there))
    # Flower forgets what it was told before it has started; a signal from here on waits for that.
    if not stopping.is_set():
        served.start()
    _log.info("Flower stopped")


def _ask_for_redis(settings: Settings, redis_url: str, is_there: Future[None]) -> None:
    """`is_there` is done once it is, and has the exception if Redis refuses us. In a thread that
    may take for ever and that nobody waits for."""

    def ask() -> None:
        with contextlib.suppress(InvalidStateError):  # told to stop meanwhile
            try:
                wait_for_redis(settings, redis_url)
            except Exception as error:  # noqa: BLE001  # raised where it is waited for
                is_there.set_exception(error)
            else:
                is_there.set_result(None)

    threading.Thread(target=ask, name="redis", daemon=True).start()


def _celery(settings: Settings, redis_url: str) -> Any:
    broker = broker_of(settings, redis_url, resolve_redis_password(Stores(settings)))
    # It looks at tasks and runs none; so nobody can send one from its pages, either.
    broker.app.conf.include = ()
    return broker.app


def _set_options(flower: FlowerSettings, inner: str) -> None:
    options = default_options
    options.address, options.port = flower.address, flower.port
    options.url_prefix = flower.url_prefix or None
    options.basic_auth = [inner]
    options.read_only = flower.read_only
    options.max_tasks = flower.max_tasks
    options.purge_offline_workers = flower.purge_offline_workers
    options.persistent = False
    options.enable_events = True
    options.format_task = shown_task
    options.tasks_columns = ",".join(COLUMNS)
    TASK_COLUMNS.update(COLUMNS)
    options.task_runtime_metric_buckets = _RUNTIME_SECONDS
    # Only a proxy on this machine gets there: it says who asks.
    options.xheaders = _is_loopback(flower.address)


def _stop_on_signals(served: GuardedFlower, is_there: Future[None]) -> threading.Event:
    """Set as soon as the loop knows that it is to stop, also while it waits for Redis."""
    stopping = threading.Event()

    def stop() -> None:
        stopping.set()
        with contextlib.suppress(InvalidStateError):  # Redis is there
            is_there.set_result(None)
        served.stop()

    def told(_number: int, _frame: FrameType | None) -> None:
        served.io_loop.add_callback_from_signal(stop)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, told)
    return stopping


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"
