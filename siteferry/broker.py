"""Celery as siteferry uses it: the factory, the names of tasks and queues, sending members.

Tasks are known by name here, so that scheduler and worker need not import each other.
"""

from __future__ import annotations

import contextlib
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass
from queue import Empty
from typing import Any

import kombu
import redis.exceptions
from celery import Celery
from kombu.transport import redis as kombu_redis

from siteferry.errors import LedgerUnreachable
from siteferry.ledger.refusals import refusal
from siteferry.run import ItemKind, Member
from siteferry.secret import Secret
from siteferry.settings import Settings
from siteferry.settings.redis_tls import RedisTls, tls_of
from siteferry.task_labels import shown_arguments, shown_name, shown_run

SHARED_QUEUE = "siteferry.work"
TASKS = {
    ItemKind.PLAN: "siteferry.plan",
    ItemKind.DIRECTORY: "siteferry.directory",
    ItemKind.FILES: "siteferry.files",
    ItemKind.PUBLISH: "siteferry.publish",
}
VISIBILITY_SECONDS = 3600


def own_queue(node: str) -> str:
    """The queue that only this worker process reads: it gets the next item of its own accounts, so
    that their sessions are used again."""
    return f"siteferry.node.{node}"


def queue(name: str) -> kombu.Queue:
    """A queue on the default exchange: routed by its name, with no binding kept in Redis."""
    return kombu.Queue(name, exchange=kombu.Exchange(""), routing_key=name)


@dataclass(frozen=True, slots=True)
class Broker:
    """A Celery application and how to send to it."""

    app: Celery
    user: str = ""

    def send(self, members: Sequence[Member]) -> None:
        """Send what may run now, to the shared queue or to the own queue of the node it names.

        Raises:
            LedgerUnreachable: the broker does not take them; the sweeper sends them later.
        """
        for member in members:
            name = own_queue(member.node) if member.node else SHARED_QUEUE
            task = TASKS[ItemKind.of(member.item)]
            try:
                self.app.send_task(
                    task,
                    args=[member.run, member.item, member.attempt],
                    task_id=f"{member.run}.{member.item}.{member.attempt}",
                    queue=queue(name),
                    shadow=shown_name(task, member),
                    # As options of their own, Celery would put them into the message twice.
                    headers={
                        "argsrepr": shown_arguments(member),
                        "kwargsrepr": shown_run(member),
                    },
                )
            except redis.exceptions.RedisError as error:
                raise refusal(error, self.user) or _takes_no_message(error) from error
            except kombu.exceptions.OperationalError as error:
                raise _takes_no_message(error) from error


def _takes_no_message(error: Exception) -> LedgerUnreachable:
    return LedgerUnreachable(f"Redis takes no message: {error}")


def make_broker(
    url: str,
    *,
    username: str | None = None,
    password: Secret | None = None,
    tls: RedisTls | None = None,
    prefix: str = "siteferry:",
) -> Broker:
    """Make the Celery application for a Redis URL (`redis://`, `rediss://`, `unix://`).

    Messages are JSON and acknowledged late; there is no result backend: the ledger knows.

    Args:
        tls: for `rediss://`; see `siteferry.settings.redis_tls.tls_of`.
    """
    guard_kombu()
    app = Celery("siteferry", include=["scheduler.tasks", "worker.tasks"])
    app.conf.update(
        broker_url=_kombu_url(url, username, password),
        broker_use_ssl=tls.options() if tls is not None else None,
        broker_transport_options={
            "visibility_timeout": VISIBILITY_SECONDS,
            "global_keyprefix": prefix,
            "socket_timeout": 30,
            "socket_connect_timeout": 5,
            "socket_keepalive": not url.startswith("unix:"),
            "health_check_interval": 25,
        },
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        task_default_queue=SHARED_QUEUE,
        task_queues=[queue(SHARED_QUEUE)],
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        result_backend=None,
        task_acks_late=True,
        # Whatever state a task shows: the ledger alone gives items out again.
        task_acks_on_failure=True,
        task_reject_on_worker_lost=True,
        task_publish_retry_policy={
            "max_retries": 5,
            "interval_start": 0.1,
            "interval_step": 0.5,
            "interval_max": 2,
        },
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_enable_remote_control=True,
        enable_utc=True,
    )
    return Broker(app, username or "")


def broker_of(settings: Settings, url: str, password: Secret | None) -> Broker:
    """The application for a Redis, with the login, prefix and TLS of the settings.

    Args:
        password: see `siteferry.credentials.resolve.resolve_redis_password`.

    Raises:
        ConfigurationError: the files for TLS cannot be used.
    """
    return make_broker(
        url,
        username=settings.redis.username,
        password=password,
        tls=tls_of(settings.redis, url),
        prefix=settings.redis.key_prefix,
    )


def guard_kombu() -> None:
    """Mend kombu 5.7.0, with which a worker dies when Redis drops while a late-ack message is
    unacknowledged: closing the channel asks a connection that is gone for its parameters.

    Put in terms of a lost connection, which Celery survives, the worker reconnects; the message
    stays in `unacked`, and its second delivery fails to claim. A test restarts Redis in the middle
    of a task. docs/decisions/0002 tells why not an older release.

    And, in whatever version: keep it from CLIENT SETINFO, a right that none of our users has
    (config/redis-users.acl), and give it the password for a socket (see `_kombu_url`).
    """
    if getattr(kombu_redis, "_siteferry_guard", False):
        return
    original_parameters = kombu_redis.Channel._connparams
    original_restore = kombu_redis.QoS.restore_unacked
    to_be_mended = kombu.__version__ == "5.7.0"

    def _connparams(self: object, asynchronous: bool = False) -> dict[str, object]:
        connection = getattr(self, "connection", None)
        if to_be_mended and (connection is None or connection.client is None):
            raise redis.exceptions.ConnectionError("the channel is closed")
        parameters = {**original_parameters(self, asynchronous), "driver_info": None}
        password = _socket_passwords.get(connection.client.hostname if connection else "")
        if password is not None:
            parameters["password"] = password.reveal()
        return parameters

    def restore_unacked(self: object, client: object = None) -> object:
        try:
            return original_restore(self, client)
        except redis.exceptions.ConnectionError:
            return None  # they stay in `unacked` until the visibility timeout

    kombu_redis.Channel._connparams = _connparams
    if to_be_mended:
        kombu_redis.QoS.restore_unacked = restore_unacked
    kombu_redis._siteferry_guard = True


_socket_passwords: dict[str, Secret] = {}
"""By what kombu calls the host: it takes the whole URL of a socket for its name, and workers tell
that to whoever asks them for their state, Flower among them."""


def end_polling(channel: Any) -> None:
    """Wait, for a second at most, for the answer to the question for messages (BRPOP) that a
    consumer has left open when it was cancelled. kombu would read it only when the channel is
    closed: a message that came in between would lie there until then, and be lost if the process
    is killed. Now it goes back to its queue.

    Args:
        channel: a channel of kombu's Redis transport, whose consumers are cancelled.
    """
    if channel._in_poll:
        with contextlib.suppress(Empty):
            channel._brpop_read()


def _kombu_url(url: str, username: str | None, password: Secret | None) -> str:
    """The URL that kombu understands; for a socket, the password is kept beside it."""
    parts = urllib.parse.urlsplit(url)
    user = urllib.parse.quote(username or "", safe="")
    if parts.scheme == "unix":
        database = urllib.parse.parse_qs(parts.query).get("db", ["0"])[0]
        login = f"{user}@" if user else ""
        socket_url = f"redis+socket://{login}{parts.path}?virtual_host={database}"
        host = socket_url.removeprefix("redis+")
        if password:
            _socket_passwords[host] = password
        else:
            _socket_passwords.pop(host, None)
        return socket_url
    login = f"{user}:{urllib.parse.quote(password.reveal(), safe='')}" if password else user
    host = parts.netloc.rpartition("@")[2]
    return urllib.parse.urlunsplit(parts._replace(netloc=f"{login}@{host}" if login else host))
