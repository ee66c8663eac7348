"""`ftps://user@host/path`: a host, an account and a directory in one argument of a command line.

| URL                          | TLS                                      | port |
| ---------------------------- | ---------------------------------------- | ---- |
| ftp://                       | none: it was asked for in so many words  | 21   |
| ftps://                      | explicit (AUTH TLS, RFC 4217)            | 21   |
| ftpis://, ftps://…:990       | implicit, from the first byte            | 990  |

Errors never quote the URL, for whatever stands in it may be a password.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote

from siteferry.errors import ConfigurationError

AdHocSecurity = Literal["explicit", "implicit", "none"]

IMPLICIT_PORT = 990
_SCHEMES: dict[str, tuple[AdHocSecurity, int]] = {
    "ftp": ("none", 21),
    "ftps": ("explicit", 21),
    "ftpis": ("implicit", IMPLICIT_PORT),
}
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<server>[^/]*)(?P<path>.*)", re.DOTALL)
_SERVER = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\[\]:\s]+)(?::(?P<port>[0-9]{1,5}))?")
_FORM = "Write ftps://USER@HOST/DIRECTORY, or ftp:// for a host without TLS."


@dataclass(frozen=True, slots=True)
class ServerUrl:
    """What the URL says, with nothing encoded any more. `path` begins with a slash."""

    security: AdHocSecurity
    username: str
    host: str
    port: int
    path: str


def is_url(text: str) -> bool:
    """Whether an argument means to be a URL; no website and no directory is called so."""
    return "://" in text


def parse_server_url(text: str) -> ServerUrl:
    """Take the URL apart.

    All before the last `@` of the server's part is the login, so that a user such as
    `web@example.com` need not be encoded; a `:` in it begins a password.

    Raises:
        ConfigurationError: it carries a password, names no user, or is no such URL.
    """
    found = _URL.fullmatch(text)
    if found is None or found["scheme"].lower() not in _SCHEMES:
        raise ConfigurationError("the URL has none of the schemes that are known", next_step=_FORM)
    security, default_port = _SCHEMES[found["scheme"].lower()]
    login, at, server = found["server"].rpartition("@")
    # A `/` in a password ends the server's part too early.
    if ":" in login or (not at and ":" in server and "@" in found["path"]):
        raise ConfigurationError(
            "the URL in the command line carries a password, which other users can read",
            next_step="Leave it out, and set SITEFERRY_FTP_PASSWORD or "
            "SITEFERRY_FTP_PASSWORD_FILE, store it with siteferry credential add, or be asked "
            "for it at a terminal.",
        )
    username = _decoded(login)
    if not at or not username:
        raise ConfigurationError("the URL names no user", next_step=_FORM)
    if any(ord(char) < 32 or ord(char) == 127 for char in username):
        raise ConfigurationError("the URL's user has a control character in it", next_step=_FORM)
    place = _SERVER.fullmatch(server)
    if place is None or not 1 <= int(place["port"] or default_port) <= 65535:
        raise ConfigurationError("the URL has no host or no right port", next_step=_FORM)
    if re.search("[?#]", found["path"]):
        raise ConfigurationError(
            "the URL's directory has a `?` or a `#` in it", next_step="Write %3F or %23 for them."
        )
    port = int(place["port"] or default_port)
    if security == "explicit" and port == IMPLICIT_PORT:
        security = "implicit"
    host = place["host"].strip("[]").lower()
    return ServerUrl(security, username, host, port, _decoded(found["path"]) or "/")


def _decoded(text: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        fault = ConfigurationError("the URL has an encoded byte that is not UTF-8", next_step=_FORM)
    raise fault  # not from within, for the error that was caught carries the text
