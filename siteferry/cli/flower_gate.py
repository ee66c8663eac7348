"""A login before all of Flower: its pages, its API, `/metrics`, and whatever a later release adds.

Flower's own check stands behind it, with a password that is made anew for each process: the one
that people log in with never gets into Flower.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from typing import Any

from flower.app import Flower
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPServerRequest
from tornado.netutil import bind_sockets
from tornado.web import RequestHandler, stream_request_body

from siteferry.log import get_logger, printable
from siteferry.secret import Secret

_OPEN = "/healthcheck"
"""Says OK and nothing else: whoever looks whether the process lives needs no password."""

MOST_BODY_BYTES = 1024 * 1024
"""Of a request, which Tornado keeps in memory as a whole, a hundred times as much by default. Those
of Flower's pages have a few hundred bytes."""

_log = get_logger(__name__)


def inner_login() -> str:
    """What Flower is told to ask for: `user:password`, known to nobody else."""
    return f"gate:{secrets.token_urlsafe(32)}"


class GuardedFlower(Flower):  # type: ignore[misc]
    """Flower's application, which hands a request to a handler only if it carries the login.

    Args:
        login: user and password, as `user:password`.
        inner: see `inner_login`; Flower's option `basic_auth` must be the same.
        prefix: `/flower`, or empty.
    """

    def __init__(self, *, login: Secret, inner: str, prefix: str, **kwargs: Any) -> None:
        self._login, self._prefix = login, prefix
        self._inner = _header(inner)
        super().__init__(**kwargs)

    def start_http_server(self) -> int:
        """As Flower's own, for an address and a port, with a bound for bodies; gives the port.

        Raises OSError where it cannot listen there.
        """
        sockets = bind_sockets(self.options.port, address=self.options.address)
        server = HTTPServer(self, xheaders=self.options.xheaders, max_body_size=MOST_BODY_BYTES)
        server.add_sockets(sockets)
        return int(sockets[0].getsockname()[1])

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> Any:
        """Tornado asks this for every request before anything else is done with it."""
        given = request.headers.get("Authorization", "")
        if request.path == self._prefix + _OPEN and request.method == "GET":
            return super().find_handler(request, **kwargs)
        if not _is(given, self._login):
            if given:
                _log.warning("login refused", address=request.remote_ip)
            return self.get_handler_delegate(request, LoginWanted)
        request.headers["Authorization"] = self._inner
        return super().find_handler(request, **kwargs)


@stream_request_body
class LoginWanted(RequestHandler):
    """Answers 401, which has a browser ask for user and password: as soon as the headers are there,
    for whoever is not logged in must not fill our memory with a body."""

    def data_received(self, chunk: bytes) -> None:
        """What comes before the connection is closed is dropped."""

    def check_xsrf_cookie(self) -> None:
        """Nothing is done here that another site could ask for."""

    def prepare(self) -> None:
        self.set_status(401)
        self.set_header("WWW-Authenticate", 'Basic realm="siteferry flower", charset="UTF-8"')
        self.set_header("Content-Type", "text/plain; charset=UTF-8")
        self.finish("Log in with the user and the password of Flower.\n")


def log_request(handler: RequestHandler) -> None:
    """One line for each request that failed; pages ask anew every second."""
    status = handler.get_status()
    if status < 400 or status == 401:
        return
    path = printable(handler.request.path)
    _log.warning("request failed", status=status, method=handler.request.method, path=path)


def _header(login: str) -> str:
    return "Basic " + base64.b64encode(login.encode()).decode()


def _is(header: str, login: Secret) -> bool:
    scheme, _, code = header.partition(" ")
    if scheme.lower() != "basic":
        return False
    try:
        given = base64.b64decode(code.strip(), validate=True)
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(given, login.reveal().encode())
