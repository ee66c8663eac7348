"""What the settings may say of each credential store. Nothing here is a secret: where a store needs
one to let us in, a key names the file or the variable that holds it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field

from siteferry.settings.values import LocalPath, Part


def default_key_file(environ: Mapping[str, str] = os.environ) -> Path:
    """`$XDG_CONFIG_HOME/siteferry/credentials.key`, or below `~/.config`: not beside the store, so
    that a copy of one is not a copy of both (XDG Base Directory 0.8)."""
    config_home = environ.get("XDG_CONFIG_HOME", "")
    if Path(config_home).is_absolute():
        return Path(config_home) / "siteferry" / "credentials.key"
    home = environ.get("HOME")
    return (Path(home) if home else Path.home()) / ".config" / "siteferry" / "credentials.key"


class FileStore(Part):
    """An encrypted file. Its key is in `key_file`, unless the environment has
    SITEFERRY_CREDENTIAL_KEY or SITEFERRY_CREDENTIAL_PASSPHRASE, or either with _FILE."""

    path: LocalPath = Field(
        default=Path("credentials/store.json"), description="the encrypted file"
    )
    key_file: LocalPath = Field(
        default_factory=default_key_file, description="the key; default: ~/.config/siteferry/…"
    )


class MountedStore(Part):
    """A directory of secret files, as Docker and Kubernetes mount them."""

    directory: LocalPath = Field(
        default=Path("/run/secrets"), description="where the files of secrets are mounted"
    )


class VaultStore(Part):
    """HashiCorp Vault or OpenBao, secrets engine KV."""

    url: str | None = Field(default=None, description="default: VAULT_ADDR of the environment")
    namespace: str | None = Field(
        default=None, description="default: VAULT_NAMESPACE of the environment"
    )
    mount: str = Field(default="secret", min_length=1, description="where the engine is mounted")
    kv_version: Literal[1, 2] = 2
    prefix: str = Field(default="siteferry", description="path in front of the site's name")
    auth: Literal["token", "approle", "kubernetes"] = "token"
    auth_mount: str | None = Field(default=None, description="default: the method's name")
    token_file: LocalPath | None = Field(
        default=None, description="default: VAULT_TOKEN of the environment, then ~/.vault-token"
    )
    role: str | None = Field(default=None, description="the role of auth: kubernetes")
    role_id: str | None = Field(default=None, description="the role id of auth: approle")
    secret_id_file: LocalPath | None = Field(
        default=None, description="default: VAULT_SECRET_ID of the environment"
    )
    jwt_file: LocalPath = Field(
        default=Path("/var/run/secrets/kubernetes.io/serviceaccount/token"),
        description="the service account's token for auth: kubernetes",
    )
    ca_file: LocalPath | None = None
    client_cert: LocalPath | None = None
    client_key: LocalPath | None = None
    timeout_seconds: float = Field(default=10.0, gt=0, le=300)


class AwsStore(Part):
    """AWS Secrets Manager: one secret for each site, a JSON object of its keys."""

    region: str | None = Field(default=None, description="default: the SDK's own rules")
    profile: str | None = None
    prefix: str = Field(default="siteferry/", description="in front of the site's name")
    endpoint_url: str | None = Field(default=None, description="for a VPC endpoint, or a test")
    timeout_seconds: float = Field(default=10.0, gt=0, le=300)


class GcpStore(Part):
    """Google Cloud Secret Manager: one secret for each entry, its newest version counts."""

    project: str | None = Field(default=None, description="default: that of the credentials")
    prefix: str = Field(default="siteferry-", pattern=r"^[A-Za-z][A-Za-z0-9-]{0,40}$")
    endpoint: str | None = Field(default=None, description="a regional endpoint, or a test's")
    timeout_seconds: float = Field(default=10.0, gt=0, le=300)


class AzureStore(Part):
    """Azure Key Vault: one secret for each entry."""

    vault_url: str | None = Field(default=None, description="https://NAME.vault.azure.net")
    prefix: str = Field(default="siteferry-", pattern=r"^[A-Za-z][A-Za-z0-9-]{0,40}$")
    timeout_seconds: float = Field(default=10.0, gt=0, le=300)


class CredentialSettings(Part):
    """Which store is asked for a credential whose reference names none, and how to reach each."""

    backend: str = Field(default="file", min_length=1)
    cache_seconds: float = Field(
        default=30.0, ge=0, le=3600, description="how long a worker keeps what it has fetched"
    )
    chain: tuple[str, ...] = Field(
        default=(), description="the stores that the store `chain` asks, in this order"
    )
    file: FileStore = Field(default_factory=FileStore)
    mounted: MountedStore = Field(default_factory=MountedStore)
    vault: VaultStore = Field(default_factory=VaultStore)
    aws: AwsStore = Field(default_factory=AwsStore)
    gcp: GcpStore = Field(default_factory=GcpStore)
    azure: AzureStore = Field(default_factory=AzureStore)
