"""What Redis' errors mean to the operator: it refuses us, or it is away."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

import redis.exceptions

from siteferry.errors import LedgerUnreachable

_NO_ROOM = ("OOM", "MISCONF", "READONLY", "NOREPLICAS")
"""How replies begin with which a server refuses every write."""
_DENIED_IN_SCRIPT = ("The user executing the script can't", "ACL failure in script")
"""What Redis until 7.0, and later ones and Valkey, say in place of NOPERM within a script."""


def refusal(error: redis.exceptions.RedisError, user: str) -> LedgerUnreachable | None:
    """What to tell where waiting would change nothing; None where it may.

    Args:
        user: the name under which we log in; empty for Redis' `default`.
    """
    text = str(error)
    name = user or "default"
    if isinstance(error, redis.exceptions.NoPermissionError) or text.startswith(_DENIED_IN_SCRIPT):
        return LedgerUnreachable(
            f"Redis does not let its user {name} do what this needs",
            reply=text,
            next_step="Compare the user's rules with config/redis-users.acl; on the server, "
            "ACL LOG names each command, key or channel that was denied.",
        )
    if isinstance(error, redis.exceptions.AuthenticationError):
        return LedgerUnreachable(
            "Redis refuses the user name or password",
            reply=text,
            next_step="Check SITEFERRY_REDIS_URL and SITEFERRY_REDIS_PASSWORD, or redis.username "
            "and redis.password.",
        )
    if isinstance(error, redis.exceptions.ResponseError) and text.startswith(_NO_ROOM):
        return LedgerUnreachable(
            "Redis takes no more writes",
            reply=text,
            next_step="docs/operations.md tells how much memory and which settings it needs.",
        )
    return _refusal_of_tls(error)


def _refusal_of_tls(error: BaseException) -> LedgerUnreachable | None:
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return LedgerUnreachable(
                f"the certificate of Redis is not trusted: {cause.verify_message}",
                next_step="Check the host name in the Redis URL, and redis.ca_file: it must hold "
                "the authority that has signed the certificate.",
            )
        # Such an end of the connection may be a server that restarts.
        if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError):
            return LedgerUnreachable(
                f"the TLS handshake with Redis failed: {cause.reason or cause}",
                next_step="Check that the port is the one for TLS (tls-port of the server), and "
                "whether the server asks for redis.cert_file and redis.key_file.",
            )
    return None


def is_away(error: redis.exceptions.RedisError) -> bool:
    """Whether the same call may succeed when Redis is back."""
    away = (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError)
    return isinstance(error, away)


def unreachable(error: redis.exceptions.RedisError, scheme: str) -> LedgerUnreachable:
    """What to tell when Redis has stayed away.

    Args:
        scheme: of its URL.
    """
    return LedgerUnreachable(
        f"Redis cannot be reached: {error}",
        next_step="Start it, or check --redis and SITEFERRY_REDIS_URL." + _hint(error, scheme),
    )


def _hint(error: BaseException, scheme: str) -> str:
    """A server of the other kind says nothing: it waits for the end of a line, or hangs up."""
    causes = list(_causes(error))
    if scheme == "rediss" and any("handshake" in str(cause) for cause in causes):
        return " Perhaps it speaks no TLS at this port: then the URL is redis://."
    if scheme == "rediss" and any(
        isinstance(cause, ssl.SSLEOFError | ConnectionResetError) for cause in causes
    ):
        return " Perhaps it asks for a certificate: redis.cert_file and redis.key_file."
    if scheme == "redis" and (
        "closed by server" in str(error)
        or any(isinstance(cause, ConnectionResetError) for cause in causes)
    ):
        return " Perhaps it speaks TLS at this port: then the URL is rediss://."
    return ""


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, and those that it was raised for: redis-py names them only as its context."""
    seen: set[int] = set()
    following: BaseException | None = error
    while following is not None and id(following) not in seen:
        seen.add(id(following))
        yield following
        following = following.__cause__ or following.__context__
