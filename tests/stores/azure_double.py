"""A wire double of Azure Key Vault, with its challenge, and of the endpoint of a managed identity.

There is no Azure here. Written from learn.microsoft.com/rest/api/keyvault/secrets (7.6) and
learn.microsoft.com/azure/key-vault/general/authentication-requests-and-responses, and used through
the real azure-keyvault-secrets and DefaultAzureCredential.
"""

from __future__ import annotations

import atexit
import importlib.util
import shutil
import ssl
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import pytest

from siteferry.credentials import CredentialBackend, Entry, open_backend
from siteferry.credentials.flat_names import FlatNames
from siteferry.settings import Settings
from tests.conftest import unavailable
from tests.servers.certificate import Certificate, make_certificate
from tests.stores.base import Stand
from tests.stores.http_double import Asked, HttpDouble, Said, no_proxies

TOKEN = "token-of-the-double"
_PAGE = 2


def _error(status: int, code: str, inner: str = "") -> Said:
    error: dict[str, Any] = {"code": code, "message": f"{code} {inner}"}
    if inner:
        error["innererror"] = {"code": inner}
    return Said(status, {"error": error})


class IdentityDouble(HttpDouble):
    """The endpoint that App Service and Container Apps give to a managed identity."""

    def __init__(self) -> None:
        self.refuses = False
        super().__init__()

    def answer(self, asked: Asked) -> Said:
        if self.refuses or asked.headers.get("x-identity-header") != "header-of-the-double":
            return Said(400, {"statusCode": 400, "message": "no identity"})
        ends = int(time.time()) + 7200
        token = {"access_token": TOKEN, "expires_on": str(ends), "token_type": "Bearer"}
        return Said(200, token | {"resource": asked.query["resource"]})


class AzureDouble(HttpDouble):
    """secrets, deleted: name in small letters -> (name as it was stored, value)."""

    def __init__(self) -> None:
        self.secrets: dict[str, tuple[str, str | None]] = {}
        self.deleted: dict[str, tuple[str, str | None]] = {}
        self.inner_refusal = ""
        self.denied = False
        self.read_only = False
        self.failing: Said | None = None
        self.still_deleting = 0
        self.challenges = 0
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(own_certificate().file, own_certificate().key)
        super().__init__(tls)

    def answer(self, asked: Asked) -> Said:
        if asked.headers.get("authorization") != f"Bearer {TOKEN}":
            self.challenges += 1
            # The SDK checks that the vault's name ends with the resource's: 127.0.0.1 with 0.0.1.
            resource = f"https://0.0.1:{self.port}"
            said = f'Bearer authorization="https://login.double/tenant", resource="{resource}"'
            refusal = _error(401, "Unauthorized")
            return Said(401, refusal.body, {"WWW-Authenticate": said})
        if self.failing is not None:
            return self.failing
        if self.denied or (self.read_only and asked.method != "GET"):
            return _error(403, "Forbidden", self.inner_refusal or "ForbiddenByRbac")
        match asked.path.strip("/").split("/"):
            case ["secrets"]:
                return self._listed(asked)
            case ["secrets", name] | ["secrets", name, ""]:
                return self._of_secret(name, asked)
            case ["deletedsecrets", name, "recover"]:
                if name.lower() not in self.deleted:
                    return _error(404, "SecretNotFound")
                self.secrets[name.lower()] = self.deleted.pop(name.lower())
                return Said(200, {"id": self._id(name), "attributes": {"enabled": True}})
            case ["deletedsecrets", name]:
                return _error(404, "SecretNotFound")
        return Said(404, b"<html>Not Found</html>")

    def _id(self, name: str) -> str:
        return f"{self.url}/secrets/{name}"

    def _of_secret(self, name: str, asked: Asked) -> Said:
        folded = name.lower()
        if asked.method == "PUT":
            if self.still_deleting:
                self.still_deleting -= 1
                return _error(409, "Conflict", "ObjectIsBeingDeleted")
            if folded in self.deleted:
                return _error(409, "Conflict", "ObjectIsDeletedButRecoverable")
            stored, _ = self.secrets.get(folded, (name, None))
            self.secrets[folded] = (stored, asked.body["value"])
        if folded not in self.secrets:
            return _error(404, "SecretNotFound")
        stored, value = self.secrets[folded]
        bundle = {"id": f"{self._id(stored)}/1", "attributes": {"enabled": True}}
        if asked.method == "DELETE":
            self.deleted[folded] = self.secrets.pop(folded)
            recovery = f"{self.url}/deletedsecrets/{stored}"
            return Said(200, bundle | {"recoveryId": recovery})
        if value is None:
            return _error(403, "Forbidden", "SecretDisabled")
        return Said(200, bundle | {"value": value})

    def _listed(self, asked: Asked) -> Said:
        names = sorted(name for name, _ in self.secrets.values())
        start = int(asked.query.get("$skiptoken") or 0)
        page = [{"id": self._id(name), "attributes": {}} for name in names[start : start + _PAGE]]
        more = start + _PAGE < len(names)
        following = f"{self.url}/secrets?api-version=7.6&$skiptoken={start + _PAGE}"
        return Said(200, {"value": page, "nextLink": following if more else None})


class AzureWireDoubleStand(Stand):
    name: ClassVar[str] = "azure"
    double: ClassVar[str] = "wire-double"

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(folder, monkeypatch)
        if not _is_installed():
            unavailable("azure-keyvault-secrets is missing: pip install 'siteferry[azure]'")
        self.server = AzureDouble()
        self.identity = IdentityDouble()
        clear_environment(monkeypatch)
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{self.identity.url}/msi/token")
        monkeypatch.setenv("IDENTITY_HEADER", "header-of-the-double")
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(own_certificate().file))

    def settings(self) -> dict[str, Any]:
        return {"vault_url": self.server.url, "timeout_seconds": 5}

    def open(self) -> CredentialBackend:
        settings = {"credentials": {"azure": self.settings()}}
        return open_backend("azure", Settings.model_validate(settings))

    def plant(self, site: str, key: str, value: str) -> None:
        name = self.secret(site, key)
        self.server.secrets[name.lower()] = (name, value)

    def secret(self, site: str, key: str) -> str:
        return FlatNames("siteferry-", 127, case_counts=False).name(Entry(site, key))

    def deny(self) -> None:
        self.server.denied = True

    def disappear(self) -> None:
        self.server.stop()

    def close(self) -> None:
        self.server.stop()
        self.identity.stop()


def _is_installed() -> bool:
    try:
        return all(importlib.util.find_spec(f"azure.{m}") for m in ("keyvault.secrets", "identity"))
    except ModuleNotFoundError:  # its parent is not there
        return False


@cache
def own_certificate() -> Certificate:
    """For localhost and 127.0.0.1; one for the process."""
    folder = Path(tempfile.mkdtemp(prefix="siteferry-certificate-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return make_certificate(folder)


def clear_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that no identity of the machine's own is used."""
    no_proxies(monkeypatch)
    for name in (
        "AZURE_CLIENT_ID",
        "AZURE_CLIENT_SECRET",
        "AZURE_TENANT_ID",
        "AZURE_FEDERATED_TOKEN_FILE",
        "AZURE_TOKEN_CREDENTIALS",
        "IMDS_ENDPOINT",
        "CURL_CA_BUNDLE",
    ):
        monkeypatch.delenv(name, raising=False)
