"""The ground of the wire doubles: an HTTP server on loopback that answers in JSON.

A wire double speaks as much of a service's protocol as its real SDK uses. It is written from the
service's documentation: it shows that we use the SDK rightly, not how the service behaves.
"""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: `path` without the query and unquoted, `headers` with names in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True, slots=True)
class Said:
    """One answer; `body` None is an empty one, bytes go out as they are."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


class HttpDouble:
    """Listens from the beginning until `stop`. A subclass answers in `answer`, one at a time.

    requests: method and path of all that was asked.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[tuple[str, str]] = []
        lock = threading.Lock()
        double = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # head and body leave together, or the second waits for an ACK

            def handle_one_request(self) -> None:
                self.raw_requestline = self.rfile.readline(65537)
                if not self.raw_requestline or not self.parse_request():
                    self.close_connection = True
                    return
                parts = urlsplit(self.path)
                raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                is_json = "json" in self.headers.get("Content-Type", "")
                asked = Asked(
                    self.command,
                    unquote(parts.path),
                    dict(parse_qsl(parts.query)),
                    {name.lower(): value for name, value in self.headers.items()},
                    json.loads(raw) if raw and is_json else raw,
                )
                with lock:
                    double.requests.append((asked.method, asked.path))
                    said = double.answer(asked)
                body = said.body if isinstance(said.body, bytes) else b""
                kind = "text/html"
                if said.body is not None and not isinstance(said.body, bytes):
                    body, kind = json.dumps(said.body).encode(), "application/json"
                self.send_response(said.status)
                for name, value in {"Content-Type": kind, **said.headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                self.wfile.flush()

            def log_message(self, format: str, *args: Any) -> None:
                """Quiet."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                """Quiet: a client that hangs up, or does not trust us, is a test's subject."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_address[1]
        if tls is not None:
            # The handshake belongs into the connection's own thread, not into accept.
            self._server.socket = tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        scheme = "https" if tls else "http"
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()
        self._up = True

    def answer(self, asked: Asked) -> Said:
        raise NotImplementedError

    def stop(self) -> None:
        """Listen no longer. Connections that are kept alive get no further answer either."""
        if self._up:
            self._up = False
            self.answer = self._hang_up  # type: ignore[method-assign]
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()

    def _hang_up(self, _asked: Asked) -> Said:
        raise ConnectionAbortedError


def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """A double is asked directly, whatever the machine's environment says."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
