"""The metrics of `siteferry beat`: where they are told, to whom, and beside what."""

from __future__ import annotations

import errno
import ipaddress
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from scheduler.metrics import LedgerCollector
from scheduler.metrics_endpoint import PATH, Endpoint, Guard
from siteferry.credentials.cache import Stores
from siteferry.credentials.resolve import resolve_metrics_token
from siteferry.errors import ConfigurationError
from siteferry.ledger.connection import Connection
from siteferry.log import get_logger
from siteferry.secret import Secret
from siteferry.settings import Settings
from siteferry.settings.metrics import MetricsSettings, split_listen

_LEDGER_SECONDS = 1.2
"""To connect, and again to answer: a scrape takes three seconds at most, whatever Redis does."""
_POLL_SECONDS = 0.1
"""How soon `stop` is noticed."""
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]{8,}=*")
"""What a bearer token consists of (RFC 6750, section 2.1), and some length."""

_log = get_logger(__name__)


@dataclass(slots=True)
class MetricsServer:
    """Tells the metrics from `start` to `stop`, in a thread of its own.

    host, port: where; port 0 is any that is free.
    """

    registry: CollectorRegistry
    host: str
    port: int
    token: Secret | None = None
    tls: ssl.SSLContext | None = None
    _endpoint: Endpoint | None = field(default=None, init=False)

    def start(self) -> None:
        """Listen, and answer from now on.

        Raises:
            ConfigurationError: it cannot listen there, or must not.
        """
        if self.token is not None and not _TOKEN.fullmatch(self.token.reveal()):
            raise ConfigurationError(
                "metrics.token is no token: it needs 8 or more of A-Z a-z 0-9 . _ ~ + / -",
                next_step="Make one: openssl rand -hex 24",
            )
        family, address = self._address()
        try:
            endpoint = Endpoint(family, address, self.registry, Guard(self.token), self.tls)
        except OSError as error:
            raise self._cannot_listen(error) from error
        self._endpoint = endpoint
        threading.Thread(
            target=endpoint.serve_forever,
            args=(_POLL_SECONDS,),
            name="siteferry-metrics",
            daemon=True,
        ).start()
        _log.info("metrics are told", url=self.url, guarded=self.token is not None)

    def stop(self) -> None:
        """Answer no more; a no-op where it has not been started."""
        endpoint, self._endpoint = self._endpoint, None
        if endpoint is not None:
            endpoint.shutdown()
            endpoint.server_close()

    @property
    def url(self) -> str:
        """Where it answers, while it does."""
        port = self._endpoint.server_address[1] if self._endpoint else self.port
        scheme = "https" if self.tls else "http"
        return f"{scheme}://{f'[{self.host}]' if ':' in self.host else self.host}:{port}{PATH}"

    def _address(self) -> tuple[int, Any]:
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise ConfigurationError(
                f"metrics.listen: the host {self.host} has no address: {error.strerror}",
                next_step="Name an address of this machine, such as 127.0.0.1:9808.",
            ) from error
        addresses = [(family, address) for family, _, _, _, address in found]
        if self.token is None and not all(_is_loopback(address[0]) for _, address in addresses):
            raise ConfigurationError(
                f"metrics.listen: {self.host} can be reached from elsewhere, and there is no token",
                next_step="Set SITEFERRY_METRICS_TOKEN_FILE or metrics.token "
                "(docs/metrics.md), or listen at 127.0.0.1:9808.",
            )
        return addresses[0]

    def _cannot_listen(self, error: OSError) -> ConfigurationError:
        if error.errno == errno.EADDRINUSE:
            return ConfigurationError(
                f"metrics.listen: port {self.port} of {self.host} is taken",
                next_step="Another `siteferry beat` on this machine may have it: each needs a port "
                "of its own in metrics.listen, where ${VAR:-127.0.0.1:9808} may stand; or "
                "metrics.enabled: false.",
            )
        return ConfigurationError(
            f"metrics.listen: cannot listen at {self.host}:{self.port}: {error.strerror}",
            next_step="Name an address of this machine and a port above 1023, such as "
            "127.0.0.1:9808.",
        )


def metrics_server(
    settings: Settings,
    connection: Connection,
    scheduled: Callable[[], Iterable[str]] | None = None,
) -> MetricsServer | None:
    """What the settings ask for; None where they ask for no metrics.

    Args:
        connection: to the ledger; a client of its own is made for the metrics.
        scheduled: gives the names of the websites that have a schedule. It is asked at each scrape,
            so it must neither wait nor raise.

    Raises:
        ConfigurationError: the certificate or its key cannot be used.
        CredentialError: the token is not to be had.
    """
    metrics = settings.metrics
    listen = split_listen(metrics.listen)
    if not metrics.enabled or listen is None:
        return None
    registry = CollectorRegistry(auto_describe=False)
    registry.register(LedgerCollector(connection.hurried(_LEDGER_SECONDS), scheduled))
    token = resolve_metrics_token(Stores(settings))
    return MetricsServer(registry, *listen, token, _tls(metrics))


def _tls(metrics: MetricsSettings) -> ssl.SSLContext | None:
    if metrics.cert_file is None:
        if metrics.key_file is not None:
            raise ConfigurationError(
                "metrics.key_file stands without metrics.cert_file",
                next_step="Name the certificate that the key belongs to.",
            )
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    # Without a password here, OpenSSL would ask for one at the terminal.
    try:
        context.load_cert_chain(metrics.cert_file, metrics.key_file, password="")
    except OSError as error:
        raise ConfigurationError(
            f"metrics.cert_file or metrics.key_file cannot be used: {_reason(error)}",
            next_step=f"Both must be PEM, the key without a password: {_shown(metrics)}",
        ) from error
    return context


def _reason(error: OSError) -> str:
    return error.strerror or str(error)


def _shown(metrics: MetricsSettings) -> str:
    files: list[Path | None] = [metrics.cert_file, metrics.key_file]
    return " and ".join(str(file) for file in files if file is not None)


def _is_loopback(address: Any) -> bool:
    return ipaddress.ip_address(str(address).partition("%")[0]).is_loopback
