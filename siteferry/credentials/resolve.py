"""From what a file says about a login to the login itself. Only the process that logs in does it.

| the file says                 | what counts                                                 |
| ----------------------------- | ----------------------------------------------------------- |
| nothing                       | the selected store's `<site>/FTP_USERNAME`, `…/FTP_PASSWORD` |
| `${credential:[NAME:]SITE/KEY}` | that entry of the store it names, else of the selected one  |
| a text with `${VAR}`          | the text with this process's environment                    |
| a plain text                  | as for nothing; if the entry is absent, the text            |

Denied and unreachable never lead to the file's text.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from siteferry.credentials.base import checked_value
from siteferry.credentials.cache import Stores
from siteferry.credentials.references import password_reference, username_reference
from siteferry.credentials.secret_file import read_secret_file
from siteferry.errors import ConfigurationError, CredentialAbsent
from siteferry.secret import Secret
from siteferry.websites import CredentialReference, EnvironmentText, Website


@dataclass(frozen=True, slots=True)
class Login:
    """What a session logs in with."""

    username: str
    password: Secret


def resolve_login(
    website: Website,
    stores: Stores,
    environ: Mapping[str, str] | None = None,
    *,
    fresh: bool = False,
) -> Login:
    """Fetch a website's login.

    Args:
        fresh: past what `stores` keeps, for the host has refused that.

    Raises:
        CredentialError: absent, denied, unreachable or malformed; never with a value.
        ConfigurationError: the settings or a reference name a store that does not exist.
    """
    resolver = _Resolver(stores, os.environ if environ is None else environ, fresh)
    name = website.ftp.username
    username = resolver.value(
        Secret(name) if isinstance(name, str) else name,
        username_reference(website),
        f"ftp.username of website {website.name}",
    )
    password = resolver.value(
        website.ftp.password,
        password_reference(website),
        f"ftp.password of website {website.name}",
    )
    return Login(username.reveal(masked=False), password)


def resolve_redis_password(stores: Stores) -> Secret | None:
    """The password for Redis, asked of the store where the settings hold a reference.

    Raises:
        CredentialError, ConfigurationError: as for `resolve_login`.
    """
    redis = stores.settings.redis
    if redis.password_reference is None:
        return redis.password
    return _Resolver(stores, os.environ, fresh=False).fetched(redis.password_reference)


def resolve_metrics_token(stores: Stores) -> Secret | None:
    """The token that the metrics are guarded with; None where there is none.

    Raises:
        CredentialError, ConfigurationError: as for `resolve_login`.
    """
    metrics = stores.settings.metrics
    where = Whereabouts(
        "metrics.token", metrics.token_reference, metrics.token_file, metrics.token_unset
    )
    return _of_one_process(stores, where) or metrics.token


def resolve_flower_password(stores: Stores) -> Secret:
    """The password with which people log in to Flower.

    Raises:
        ConfigurationError: there is none.
        CredentialError: as for `resolve_login`.
    """
    flower = stores.settings.flower
    where = Whereabouts(
        "flower.password", flower.password_reference, flower.password_file, flower.password_unset
    )
    found = _of_one_process(stores, where) or flower.password
    if not found:
        raise ConfigurationError(
            "Flower has no password, and shows what it knows to nobody without one",
            next_step="Set flower.password_file in siteferry.yaml, or SITEFERRY_FLOWER_PASSWORD; "
            "docs/flower.md shows how to make one.",
        )
    return checked_value(found, "the password of Flower")


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where a secret that one kind of process needs is to be had, if not in the settings. key: what
    the settings call it. unset: which variable is missing."""

    key: str
    reference: CredentialReference | None
    file: Path | None
    unset: str | None


def _of_one_process(stores: Stores, where: Whereabouts) -> Secret | None:
    if where.unset is not None:
        raise ConfigurationError(f"{where.key}: {where.unset}")
    if where.reference is not None:
        return _Resolver(stores, os.environ, fresh=False).fetched(where.reference)
    if where.file is None:
        return None
    found = read_secret_file(where.file, f"the file {where.file}")
    if found is None:
        raise CredentialAbsent(
            f"there is no file {where.file}, which is to hold {where.key}",
            next_step=f"Write it, or correct {where.key}_file or the environment variable that "
            "names it.",
        )
    return found


@dataclass(frozen=True, slots=True)
class _Resolver:
    stores: Stores
    environ: Mapping[str, str]
    fresh: bool

    def value(
        self,
        written: Secret | CredentialReference | EnvironmentText | None,
        reference: CredentialReference,
        what: str,
    ) -> Secret:
        if isinstance(written, EnvironmentText):
            unset = written.unset(self.environ)
            if unset:
                raise CredentialAbsent(
                    f"{what} needs the environment variable {' and '.join(unset)}, not set here",
                    next_step="Set it where the worker is started.",
                )
            return checked_value(Secret(written.expand(self.environ)), what)
        if not isinstance(written, Secret):
            return self.fetched(reference)
        try:
            return self.fetched(reference)
        except CredentialAbsent:
            return checked_value(written, what)

    def fetched(self, reference: CredentialReference) -> Secret:
        return self.stores.get(reference.backend, reference.site, reference.key, fresh=self.fresh)
