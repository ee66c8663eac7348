"""Addresses of Redis without their secrets."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import unquote

from siteferry.errors import ConfigurationError
from siteferry.secret import Secret

SCHEMES = ("redis", "rediss", "unix")
_SECRET_OPTIONS = frozenset({"password", "username"})


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """A Redis URL taken apart; `url` holds neither user nor password.

    tls_options: whether it says something about certificates (`ssl_cert_reqs=none`), which
    redis-py would put before everything that we say.
    """

    url: str
    username: str | None = None
    password: Secret | None = field(default=None)
    tls_options: bool = False


def split_redis_url(url: str) -> RedisAddress | None:
    """Take the login out of a Redis URL; None where it is no such URL.

    A password that is not percent-encoded (`redis://:a/b@host`) is found as well, which the
    standard library's parser does not promise: all up to the last `@` before the options counts.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.lower() not in SCHEMES or not rest:
        return None
    username = password = None
    if not rest.startswith("/") and "@" in rest:
        login, _, rest = rest.rpartition("@")
        user, colon, word = login.partition(":")
        username = unquote(user) or None
        password = unquote(word) if colon else None
    address, mark, query = rest.partition("?")
    kept, tls_options = [], False
    for option in query.split("&") if mark else ():
        name, _, value = option.partition("=")
        tls_options |= unquote(name).lower().startswith("ssl_")
        if unquote(name).lower() not in _SECRET_OPTIONS:
            kept.append(option)
        elif unquote(name).lower() == "password":
            password = unquote(value)
        else:
            username = unquote(value) or None
    plain = f"{scheme.lower()}://{address}" + (f"?{'&'.join(kept)}" if kept else "")
    return RedisAddress(plain, username, Secret(password) if password else None, tls_options)


def refuse_password_in_url(url: str) -> None:
    """Refuse a Redis URL with a password where others can read it: in a command line.

    Raises:
        ConfigurationError: the URL carries one (it is not printed), or options of TLS, or is no
            Redis URL.
    """
    address = split_redis_url(url)
    if address is None:
        raise ConfigurationError(
            "the Redis URL is not one",
            next_step="Write redis://HOST:PORT/DB, rediss://HOST:PORT/DB or unix:///PATH.",
        )
    if address.password is not None:
        raise ConfigurationError(
            "the Redis URL in the command line carries a password, which other users can read",
            next_step="Leave it out, and set SITEFERRY_REDIS_PASSWORD or "
            "SITEFERRY_REDIS_PASSWORD_FILE.",
        )
    if address.tls_options:
        raise ConfigurationError(
            "the Redis URL in the command line carries ssl_ options",
            next_step="Leave them out: the configuration has redis.ca_file, redis.cert_file and "
            "redis.verify.",
        )
