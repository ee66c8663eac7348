"""A wire double of Google Cloud Secret Manager, REST, and of the token endpoint.

There is no Google Cloud here. Written from cloud.google.com/secret-manager/docs/reference/rest
and used through the real google-cloud-secret-manager and google-auth, with a service account's
key that was made for the test.
"""

from __future__ import annotations

import base64
import importlib.util
import json
import re
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from siteferry.credentials import CredentialBackend, Entry, open_backend
from siteferry.credentials.flat_names import FlatNames
from siteferry.settings import Settings
from tests.conftest import unavailable
from tests.stores.base import Stand
from tests.stores.http_double import Asked, HttpDouble, Said, no_proxies

PROJECT = "project-of-the-double"
ACCOUNT = f"siteferry@{PROJECT}.iam.gserviceaccount.com"

_SECRET = re.compile(
    rf"/v1/projects/{PROJECT}/secrets/([A-Za-z0-9_-]{{1,255}})(?:/versions/latest)?"
)
_PAGE = 2


def _error(status: int, code: str, message: str) -> Said:
    return Said(status, {"error": {"code": status, "status": code, "message": message}})


class GcpDouble(HttpDouble):
    """secrets: name -> the bytes of each version, the newest last; None is a disabled one."""

    def __init__(self) -> None:
        self.secrets: dict[str, list[bytes | None]] = {}
        self.denied = False
        self.read_only = False
        self.failing: Said | None = None
        self.tokens_given = 0
        super().__init__()

    def answer(self, asked: Asked) -> Said:
        if asked.path == "/token":
            self.tokens_given += 1
            token = {"access_token": "token-of-the-double", "expires_in": 3600}
            return Said(200, token | {"token_type": "Bearer"})
        if self.failing is not None:
            return self.failing
        if not self._knows(asked.headers.get("authorization", "")):
            return _error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
        if self.denied or (self.read_only and asked.method != "GET"):
            return _error(403, "PERMISSION_DENIED", "Permission denied (or it may not exist).")
        path, _, verb = asked.path.partition(":")
        if path == f"/v1/projects/{PROJECT}/secrets":
            return self._create(asked) if asked.method == "POST" else self._listed(asked)
        found = _SECRET.fullmatch(path)
        if found is None:
            return Said(404, b"<html>Not Found</html>")
        return self._of_secret(found[1], verb, asked)

    def _knows(self, authorization: str) -> bool:
        token = authorization.removeprefix("Bearer ")
        if token == "token-of-the-double":
            return True
        parts = token.split(".")
        if len(parts) != 3:
            return False
        # A JWT that the account has signed itself, which Google takes in place of a token.
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        return bool(claims["iss"] == ACCOUNT)

    def _create(self, asked: Asked) -> Said:
        name = asked.query["secretId"]
        if name in self.secrets:
            return _error(409, "ALREADY_EXISTS", f"Secret [{name}] already exists.")
        if asked.body != {"replication": {"automatic": {}}}:
            return _error(400, "INVALID_ARGUMENT", "a replication policy is required")
        self.secrets[name] = []
        return Said(200, {"name": f"projects/1/secrets/{name}"})

    def _listed(self, asked: Asked) -> Said:
        wanted = asked.query["filter"].removeprefix("name:")
        names = sorted(name for name in self.secrets if wanted in name)
        start = int(asked.query.get("pageToken") or 0)
        page = [{"name": f"projects/1/secrets/{n}"} for n in names[start : start + _PAGE]]
        more = {"nextPageToken": str(start + _PAGE)} if start + _PAGE < len(names) else {}
        return Said(200, {"secrets": page, **more})

    def _of_secret(self, name: str, verb: str, asked: Asked) -> Said:
        versions = self.secrets.get(name)
        if versions is None or (verb == "access" and not versions):
            return _error(404, "NOT_FOUND", f"Secret [{name}] not found or has no versions.")
        if asked.method == "DELETE":
            del self.secrets[name]
            return Said(200, {})
        version = {"name": f"projects/1/secrets/{name}/versions/{len(versions)}"}
        if verb == "addVersion":
            versions.append(base64.b64decode(asked.body["payload"]["data"]))
            return Said(200, version)
        newest = versions[-1]
        if newest is None:
            return _error(400, "FAILED_PRECONDITION", "Secret Version is in DISABLED state.")
        data = base64.b64encode(newest).decode()
        return Said(200, version | {"payload": {"data": data}})


class GcpWireDoubleStand(Stand):
    name: ClassVar[str] = "gcp"
    double: ClassVar[str] = "wire-double"

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(folder, monkeypatch)
        if not _is_installed():
            unavailable("google-cloud-secret-manager is missing: pip install 'siteferry[gcp]'")
        no_proxies(monkeypatch)
        self.server = GcpDouble()
        key_file = folder / "service-account.json"
        key_file.write_text(
            json.dumps(
                {
                    "type": "service_account",
                    "project_id": PROJECT,
                    "private_key_id": "1",
                    "private_key": _private_key(),
                    "client_email": ACCOUNT,
                    "token_uri": f"{self.server.url}/token",
                }
            )
        )
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key_file))
        for name in ("GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT"):
            monkeypatch.delenv(name, raising=False)
        _stay_at_home(monkeypatch)

    def settings(self) -> dict[str, Any]:
        return {"endpoint": self.server.url, "timeout_seconds": 5}

    def open(self) -> CredentialBackend:
        return open_backend(
            "gcp", Settings.model_validate({"credentials": {"gcp": self.settings()}})
        )

    def plant(self, site: str, key: str, value: str) -> None:
        self.server.secrets.setdefault(self.secret(site, key), []).append(value.encode())

    def secret(self, site: str, key: str) -> str:
        return FlatNames("siteferry-", 255, case_counts=True).name(Entry(site, key))

    def deny(self) -> None:
        self.server.denied = True

    def disappear(self) -> None:
        self.server.stop()

    def garble(self, site: str, key: str) -> None:
        versions = self.server.secrets[self.secret(site, key)]
        assert versions[-1] is not None
        versions.append(versions[-1] + b"\xff")

    def close(self) -> None:
        self.server.stop()


def _is_installed() -> bool:
    try:
        return importlib.util.find_spec("google.cloud.secretmanager_v1") is not None
    except ModuleNotFoundError:  # its parent is not there
        return False


def _stay_at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """google-auth, of late, asks iamcredentials.googleapis.com in a thread where it may send
    requests to; what it needs no answer for is not asked in a test."""
    from google.auth import credentials

    boundary = getattr(credentials, "CredentialsWithRegionalAccessBoundary", None)
    if boundary is not None:
        monkeypatch.setattr(boundary, "_after_refresh", lambda *_args: None)


@cache
def _private_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
