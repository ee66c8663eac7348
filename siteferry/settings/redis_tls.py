"""TLS to Redis: whom we trust, and who we are."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from siteferry.errors import ConfigurationError
from siteferry.settings.models import RedisSettings


@dataclass(frozen=True, slots=True)
class RedisTls:
    """Files are PEM; without `ca_file` the system's authorities count."""

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    verify: bool = True

    def options(self) -> dict[str, object]:
        """What redis-py's SSLConnection takes, and kombu hands on to it."""
        files = {
            "ssl_ca_certs": self.ca_file,
            "ssl_certfile": self.cert_file,
            "ssl_keyfile": self.key_file or self.cert_file,
        }
        return {
            "ssl_cert_reqs": "required" if self.verify else "none",
            "ssl_check_hostname": self.verify,
            **{name: str(path) for name, path in files.items() if path is not None},
        }


def tls_of(redis: RedisSettings, url: str) -> RedisTls | None:
    """How to speak TLS with the Redis at `url`; None where its scheme says that none is spoken.

    Raises:
        ConfigurationError: a file cannot be read or is no PEM, or there are files for TLS and the
            URL asks for none: what was meant to be encrypted must not go in plain.
    """
    scheme = urlsplit(url).scheme
    files = {
        name: path
        for name, path in (
            ("ca_file", redis.ca_file),
            ("cert_file", redis.cert_file),
            ("key_file", redis.key_file),
        )
        if path is not None
    }
    if scheme == "redis" and files:
        raise ConfigurationError(
            f"redis.{next(iter(files))} is for TLS, and the Redis URL asks for none",
            next_step="Write the URL as rediss://, or take the files for TLS out of `redis:`.",
        )
    if scheme != "rediss":
        return None
    if "key_file" in files and "cert_file" not in files:
        raise ConfigurationError(
            "redis.key_file stands without redis.cert_file", next_step="Give both, or none."
        )
    for name, path in files.items():
        _check(name, path, redis)
    return RedisTls(redis.ca_file, redis.cert_file, redis.key_file, redis.verify)


def _check(name: str, path: Path, redis: RedisSettings) -> None:
    try:
        with path.open("rb"):
            pass
        if name == "ca_file":
            ssl.create_default_context(cafile=str(path))
        elif redis.cert_file is not None:
            key = str(redis.key_file) if redis.key_file else None
            # Without the last argument OpenSSL would ask for a passphrase at the terminal.
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(
                str(redis.cert_file), key, password=lambda: b""
            )
    except ssl.SSLError as error:
        raise ConfigurationError(
            f"redis.{name} {path} is not what it must be: {error.reason or error}",
            next_step="It must be PEM, with a key that belongs to the certificate and has no "
            "passphrase.",
        ) from error
    except OSError as error:
        raise ConfigurationError(
            f"redis.{name} {path} cannot be read: {error.strerror or error}",
            next_step=f"Correct redis.{name}, or the rights of the file.",
        ) from error
