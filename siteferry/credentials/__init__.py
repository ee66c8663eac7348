"""Credentials by reference: stores behind one contract, and the login of a website."""

from siteferry.credentials.base import Ability, CredentialBackend, Entry
from siteferry.credentials.cache import Stores
from siteferry.credentials.environment import EnvironmentBackend, variable_name
from siteferry.credentials.memory import MemoryBackend
from siteferry.credentials.registry import BACKENDS, open_backend
from siteferry.credentials.resolve import Login, resolve_login, resolve_redis_password

__all__ = [
    "BACKENDS",
    "Ability",
    "CredentialBackend",
    "Entry",
    "EnvironmentBackend",
    "Login",
    "MemoryBackend",
    "Stores",
    "open_backend",
    "resolve_login",
    "resolve_redis_password",
    "variable_name",
]
