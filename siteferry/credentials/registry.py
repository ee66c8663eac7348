"""Every credential store that there is. A store is imported when it is opened: some need an SDK."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module

from siteferry.credentials.base import CredentialBackend
from siteferry.errors import ConfigurationError
from siteferry.settings import Settings

BACKENDS: Mapping[str, str] = {
    "file": "siteferry.credentials.encrypted_file",
    "environment": "siteferry.credentials.environment",
    "mounted": "siteferry.credentials.mounted",
    "vault": "siteferry.credentials.vault",
    "aws": "siteferry.credentials.aws",
    "gcp": "siteferry.credentials.gcp",
    "azure": "siteferry.credentials.azure",
    "chain": "siteferry.credentials.chain",
    "memory": "siteferry.credentials.memory",
}
"""Name -> module, whose `open_store(settings)` gives the store."""


def open_backend(name: str, settings: Settings) -> CredentialBackend:
    """The store of that name, set up as the settings say.

    Raises:
        ConfigurationError: there is no store of that name, its settings do not suffice, or what it
            needs is not installed.
    """
    module = BACKENDS.get(name)
    if module is None:
        raise ConfigurationError(
            "a credential backend is named that siteferry does not have",
            next_step=f"Use one of: {', '.join(BACKENDS)} (credentials.backend in the settings, "
            "or the first part of a ${credential:BACKEND:SITE/KEY}).",
        )
    opener: Callable[[Settings], CredentialBackend] = import_module(module).open_store
    return opener(settings)
