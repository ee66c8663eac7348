"""Every credential store that there is."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from siteferry.credentials.base import CredentialBackend
from siteferry.credentials.environment import EnvironmentBackend
from siteferry.credentials.memory import MemoryBackend
from siteferry.errors import ConfigurationError
from siteferry.settings import Settings

BACKENDS: Mapping[str, Callable[[Settings], CredentialBackend]] = {
    "environment": lambda _: EnvironmentBackend(),
    "memory": lambda _: MemoryBackend(),
}


def open_backend(name: str, settings: Settings) -> CredentialBackend:
    """The store of that name, set up as the settings say.

    Raises:
        ConfigurationError: there is no store of that name.
    """
    opener = BACKENDS.get(name)
    if opener is None:
        raise ConfigurationError(
            "a credential backend is named that siteferry does not have",
            next_step=f"Use one of: {', '.join(BACKENDS)} (credentials.backend in the settings, "
            "or the first part of a ${credential:BACKEND:SITE/KEY}).",
        )
    return opener(settings)
