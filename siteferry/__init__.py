"""siteferry publishes websites to FTP/FTPS hosting, and brings them back.

Importing it does nothing; what it offers to programs is imported when it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from siteferry.credentials.api import (
        delete_credential,
        get_credential,
        list_credentials,
        migrate_from_config,
        store_credential,
    )

__version__ = "0.1.0"

__all__ = [
    "__version__",
    "delete_credential",
    "get_credential",
    "list_credentials",
    "migrate_from_config",
    "store_credential",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("siteferry.credentials.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
