"""The HTTP side of the metrics: one path, a token, and bounds for clients that are slow or many."""

from __future__ import annotations

import hmac
import io
import socket
import socketserver
import ssl
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from siteferry.log import get_logger
from siteferry.secret import Secret

PATH = "/metrics"
REQUEST_SECONDS = 5.0
"""How long a client may take for its whole request, and again for taking the answer."""
MOST_REQUESTS = 8
"""At a time; who comes then is hung up on."""

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Guard:
    """Who may ask: whoever shows the token, or anybody where there is none."""

    token: Secret | None

    def admits(self, authorization: str | None) -> bool:
        """Whether the header `Authorization` has the token (RFC 6750, section 2.1)."""
        if self.token is None:
            return True
        scheme, _, shown = (authorization or "").strip().partition(" ")
        wanted = self.token.reveal().encode()
        # http.server reads headers as ISO 8859-1.
        is_right = hmac.compare_digest(shown.strip().encode("latin-1"), wanted)
        return scheme.lower() == "bearer" and is_right


class Endpoint(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Listens from its making on; `serve_forever` answers, `server_close` ends it.

    Raises OSError where it cannot listen there.

    Args:
        family, address: as `socket.getaddrinfo` gives them.
        registry: what is told.
        tls: None: plain HTTP.
    """

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def __init__(
        self,
        family: int,
        address: Any,
        registry: CollectorRegistry,
        guard: Guard,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.address_family = family
        self.registry, self.guard, self._tls = registry, guard, tls
        self._places = threading.BoundedSemaphore(MOST_REQUESTS)
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._places.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def finish_request(self, request: Any, client_address: Any) -> None:
        request.settimeout(REQUEST_SECONDS)
        if self._tls is None:
            super().finish_request(request, client_address)
            return
        # Here and not on the listening socket: a handshake must hold up nobody else.
        with self._tls.wrap_socket(request, server_side=True) as wrapped:
            super().finish_request(wrapped, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exc_info()[1]
        if isinstance(error, OSError):  # TLS and timeouts among them: the client's affair
            _log.debug("a client of the metrics went away", error=str(error))
        else:
            _log.exception("a request for the metrics failed")


class _Handler(BaseHTTPRequestHandler):
    server: Endpoint
    server_version = "siteferry"
    sys_version = ""

    def setup(self) -> None:
        super().setup()
        self.rfile = io.BufferedReader(_Until(self.connection, REQUEST_SECONDS))

    def do_GET(self) -> None:  # http.server's name
        self.connection.settimeout(REQUEST_SECONDS)
        if not self.server.guard.admits(self.headers.get("Authorization")):
            challenge = {"WWW-Authenticate": 'Bearer realm="siteferry"'}
            self._answer(
                401, b"the metrics need their token: Authorization: Bearer ...\n", challenge
            )
        elif (path := _path_of(self.path)) is None:
            self._answer(400, b"this is no address\n")
        elif path != PATH:
            self._answer(404, f"here is only {PATH}\n".encode())
        else:
            encode, content_type = choose_encoder(self.headers.get("Accept", ""))
            self._answer(200, encode(self.server.registry), {"Content-Type": content_type})

    do_HEAD = do_GET  # noqa: N815  http.server's

    def _refuse(self) -> None:
        self.connection.settimeout(REQUEST_SECONDS)
        self._answer(405, b"only GET and HEAD\n", {"Allow": "GET, HEAD"})

    do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _refuse  # noqa: N815

    def _answer(self, code: int, body: bytes, more: Mapping[str, str] | None = None) -> None:
        self.send_response(code)
        headers = {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store"}
        for name, value in {**headers, "Content-Length": len(body), **(more or {})}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        _log.debug("asked for metrics", client=self.client_address[0], said=format % args)


def _path_of(target: str) -> str | None:
    """The path asked for, maybe within a whole URL (RFC 9112, section 3.2.2); None: it is none."""
    try:
        return urlsplit(target).path
    except ValueError:
        return None


class _Until(io.RawIOBase):
    """What a client sends within `seconds` from now, in however many pieces."""

    def __init__(self, connection: socket.socket, seconds: float) -> None:
        super().__init__()
        self._connection, self._end = connection, time.monotonic() + seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("the request did not come in time")
        self._connection.settimeout(left)
        return self._connection.recv_into(buffer)
