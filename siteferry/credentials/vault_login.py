"""What a login to Vault needs: its address, and a token, secret id or service account's token, from
where the settings say. Files are read at each login, for an agent may write them anew."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from siteferry.errors import ConfigurationError, CredentialDenied
from siteferry.secret import Secret
from siteferry.settings.stores import VaultStore


def checked_url(store: VaultStore, environ: Mapping[str, str]) -> str:
    """The address of Vault.

    Raises:
        ConfigurationError: there is none, or the settings lack what the method of login needs, or
            name a file that cannot be read.
    """
    url = store.url or environ.get("VAULT_ADDR") or ""
    try:
        parts = urlsplit(url)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_url = False
    if not is_url:
        raise ConfigurationError(
            "the address of Vault is not set, or is no URL",
            next_step="Set credentials.vault.url, or VAULT_ADDR: https://vault.example.com:8200",
        )
    needed = {"approle": "role_id", "kubernetes": "role"}.get(store.auth)
    if needed and not getattr(store, needed):
        raise ConfigurationError(
            f"the login with {store.auth} needs credentials.vault.{needed}",
            next_step="Set it in the settings.",
        )
    for key in ("ca_file", "client_cert", "client_key"):
        file = getattr(store, key)
        if file is not None and not os.access(file, os.R_OK):
            raise not_readable(key)
    return url


def read_token(store: VaultStore, environ: Mapping[str, str]) -> Secret:
    """The token of `auth: token`: of token_file, else VAULT_TOKEN, else ~/.vault-token.

    Raises:
        CredentialDenied: there is none.
    """
    if store.token_file is not None:
        return _read(store.token_file, "token_file")
    if token := environ.get("VAULT_TOKEN", "").strip():
        return Secret(token)
    home = environ.get("HOME")
    file = (Path(home) if home else Path.home()) / ".vault-token"
    return _read(file, "token_file (by default ~/.vault-token, where VAULT_TOKEN is not set)")


def read_secret_id(store: VaultStore, environ: Mapping[str, str]) -> Secret:
    """The secret id of `auth: approle`: of secret_id_file, else VAULT_SECRET_ID.

    Raises:
        CredentialDenied: there is none.
    """
    if store.secret_id_file is not None:
        return _read(store.secret_id_file, "secret_id_file")
    if secret_id := environ.get("VAULT_SECRET_ID", "").strip():
        return Secret(secret_id)
    raise CredentialDenied(
        "there is no secret id to log in to Vault with",
        next_step="Name its file in credentials.vault.secret_id_file, or set VAULT_SECRET_ID.",
    )


def read_jwt(store: VaultStore) -> Secret:
    """The service account's token of `auth: kubernetes`.

    Raises:
        CredentialDenied: there is none.
    """
    return _read(store.jwt_file, "jwt_file")


def not_readable(keys: str) -> ConfigurationError:
    """The error for the file of a setting that is to be a PEM file."""
    return ConfigurationError(
        f"the file of credentials.vault.{keys} is not there, cannot be read, or is no PEM file",
        next_step="Correct the path, or give this process's user the right to read it.",
    )


def _read(file: Path, setting: str) -> Secret:
    try:
        value = Secret(file.read_bytes().decode().strip())
    except (OSError, ValueError):
        value = Secret("")
    if not value:
        raise CredentialDenied(
            f"the file of credentials.vault.{setting} is not there, cannot be read or is empty",
            next_step="Without it nobody can log in to Vault.",
        )
    return value
