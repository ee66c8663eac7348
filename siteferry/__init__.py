"""siteferry publishes websites to FTP/FTPS hosting, and brings them back.

Importing it does nothing; what it offers to programs is imported when it is asked for.
"""

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing

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


def __getattr__(name: str) -> object:
    if name in __all__:
        from importlib import import_module

        return getattr(import_module("siteferry.credentials.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
