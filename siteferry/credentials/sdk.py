"""What a store raises whose SDK is not installed. A vendor's SDK is imported by its store's file
alone, and that file by the registry when the store is opened."""

from __future__ import annotations

from siteferry.errors import ConfigurationError


def missing_sdk(store: str) -> ConfigurationError:
    """The error for `store`, which is also the name of the extra that brings the SDK."""
    return ConfigurationError(
        f"the credential store {store} needs a package that is not installed",
        next_step=f"Install it: pip install 'siteferry[{store}]'",
    )
