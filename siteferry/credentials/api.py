"""Credentials for programs: `from siteferry import get_credential`, and its sisters."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from siteferry.credentials.base import Entry
from siteferry.credentials.cache import Stores
from siteferry.secret import Secret
from siteferry.settings import load_settings, select_store

if TYPE_CHECKING:
    from siteferry.credentials.migrate import Migration


def get_credential(
    website: str, key: str, *, config: Path | None = None, backend: str | None = None
) -> Secret:
    """Give the value of an entry; `.reveal()` gives its text.

    Args:
        website: the site's name. key: for instance `FTP_PASSWORD`.
        config: the settings' file; None: SITEFERRY_CONFIG, then ./config/siteferry.yaml.
        backend: the store; None: SITEFERRY_CREDENTIAL_BACKEND, then the settings'.

    Raises:
        CredentialAbsent, CredentialDenied, CredentialUnreachable, CredentialMalformed: from the
            store, each with its next step and none with a value.
        ConfigurationError: the settings are not as they must be, or name no store.
    """
    return _stores(config, backend).get(None, website, key, fresh=True)


def store_credential(
    website: str,
    key: str,
    value: str | Secret,
    *,
    config: Path | None = None,
    backend: str | None = None,
) -> None:
    """Create or replace an entry; errors as for `get_credential`, and CredentialReadOnly."""
    secret = value if isinstance(value, Secret) else Secret(value)
    _stores(config, backend).store().store(website, key, secret)


def delete_credential(
    website: str, key: str, *, config: Path | None = None, backend: str | None = None
) -> None:
    """Remove an entry; errors as for `get_credential`, and CredentialReadOnly."""
    _stores(config, backend).store().delete(website, key)


def list_credentials(
    website: str | None = None, *, config: Path | None = None, backend: str | None = None
) -> tuple[Entry, ...]:
    """The names of all entries, or of one website's, sorted; errors as for `get_credential`."""
    return _stores(config, backend).store().list(website)


def migrate_from_config(
    website: str | None = None,
    *,
    dry_run: bool = False,
    config: Path | None = None,
    backend: str | None = None,
) -> list[Migration]:
    """Move hard-coded logins out of website files into the store; see
    `siteferry.credentials.migrate`.

    Args:
        website: None: all of them.
        dry_run: tell what would be done, and do nothing.
    """
    from siteferry.credentials.migrate import migrate

    return migrate(_stores(config, backend), website, dry_run=dry_run)


def _stores(config: Path | None, backend: str | None) -> Stores:
    settings = load_settings(config)
    return Stores(settings if backend is None else select_store(settings, backend))
