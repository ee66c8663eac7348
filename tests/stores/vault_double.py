"""A wire double of Vault: KV versions 1 and 2, tokens, and the logins AppRole and Kubernetes.

There is no Vault here. Written from developer.hashicorp.com/vault/api-docs (secret/kv, auth/token,
auth/approle, auth/kubernetes, system/namespaces) and used through the real hvac.
"""

from __future__ import annotations

import importlib.util
import ssl
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest

from siteferry.credentials import CredentialBackend, open_backend
from siteferry.settings import Settings
from siteferry.settings.stores import VaultStore
from tests.conftest import unavailable
from tests.stores.base import Stand
from tests.stores.http_double import Asked, HttpDouble, Said, no_proxies

ROOT_TOKEN = "hvs.root-of-the-double"
ROLE_ID, SECRET_ID = "role-of-siteferry", "secret-id-of-the-double"
KUBERNETES_ROLE, JWT = "siteferry", "ey.service-account.of-the-double"

_DENIED = Said(403, {"errors": ["1 error occurred:\n\t* permission denied\n\n"]})
_NOTHING = Said(404, {"errors": []})


@dataclass
class Token:
    """`ends` and `longest` are times of the double's clock; None means never."""

    ttl: int
    ends: float | None
    longest: float | None = None
    renewable: bool = True
    read_only: bool = False


@dataclass
class Versions:
    """A secret of KV v2; a version is None when it was deleted."""

    all: list[dict[str, Any] | None] = field(default_factory=list)


class VaultDouble(HttpDouble):
    """One server with KV at `secret/`. A test turns its knobs: attributes with public names."""

    def __init__(self, kv_version: int = 2, tls: ssl.SSLContext | None = None) -> None:
        self.now = 0.0
        self.sealed = False
        self.namespace = ""
        self.login_ttl, self.login_max_ttl, self.login_renewable = 3600, 86400, True
        self.login_mount = {"approle": "approle", "kubernetes": "kubernetes"}
        self.logins_refused = False
        self.kv_version = kv_version
        self.tokens = {ROOT_TOKEN: Token(0, None, renewable=False)}
        self.secrets: dict[str, Versions] = {}
        self.seen_tokens_at_login: list[str | None] = []
        self.before_write: list[Any] = []
        super().__init__(tls)

    # What a test does to it

    def plant(self, path: str, fields: dict[str, Any]) -> None:
        """Like `vault kv put`, or `vault kv patch` where the secret is there."""
        versions = self.secrets.setdefault(path, Versions())
        newest = versions.all[-1] if versions.all else None
        versions.all.append({**(newest or {}), **fields})

    def grant(self, ttl: int, *, renewable: bool = True, read_only: bool = False) -> str:
        token = f"hvs.{uuid.uuid4().hex}"
        ends = self.now + ttl if ttl else None
        self.tokens[token] = Token(ttl, ends, self.now + self.login_max_ttl, renewable, read_only)
        return token

    def revoke_all(self) -> None:
        self.tokens.clear()

    # The protocol

    def answer(self, asked: Asked) -> Said:
        if self.sealed:
            return Said(503, {"errors": ["Vault is sealed"]})
        if asked.headers.get("x-vault-request") != "true":
            return Said(412, {"errors": ["missing X-Vault-Request"]})
        if self.namespace and asked.headers.get("x-vault-namespace") != self.namespace:
            return _DENIED
        path = asked.path.removeprefix("/v1/")
        if path.startswith("auth/") and path.endswith("/login"):
            return self._login(path.removeprefix("auth/").removesuffix("/login"), asked)
        token = self._token(asked)
        if token is None:
            return Said(403, {"errors": ["permission denied", "invalid token"]})
        if path == "auth/token/lookup-self":
            ttl = 0 if token.ends is None else int(token.ends - self.now)
            return Said(200, {"data": {"ttl": ttl, "renewable": token.renewable}})
        if path == "auth/token/renew-self":
            return self._renew(token)
        mount, _, rest = path.partition("/")
        if mount != "secret":
            missing = f'no handler for route "{path}". route entry not found.'
            return Said(404, {"errors": [missing]})
        if token.read_only and asked.method not in ("GET", "LIST"):
            return _DENIED
        return self._kv_2(rest, asked) if self.kv_version == 2 else self._kv_1(rest, asked)

    def _token(self, asked: Asked) -> Token | None:
        token = self.tokens.get(asked.headers.get("x-vault-token", ""))
        if token is None or (token.ends is not None and self.now >= token.ends):
            return None
        return token

    def _login(self, mount: str, asked: Asked) -> Said:
        self.seen_tokens_at_login.append(asked.headers.get("x-vault-token"))
        given = asked.body
        if mount == self.login_mount["approle"]:
            right = given == {"role_id": ROLE_ID, "secret_id": SECRET_ID}
            refusal = Said(400, {"errors": ["invalid role or secret ID"]})
        elif mount == self.login_mount["kubernetes"]:
            right = given == {"role": KUBERNETES_ROLE, "jwt": JWT}
            wrong_role = given.get("role") != KUBERNETES_ROLE
            refusal = (
                Said(400, {"errors": [f'invalid role name "{given.get("role")}"']})
                if wrong_role
                else _DENIED
            )
        else:
            return Said(404, {"errors": [f'no handler for route "auth/{mount}/login".']})
        if self.logins_refused or not right:
            return refusal
        token = self.grant(self.login_ttl, renewable=self.login_renewable)
        lease = {"lease_duration": self.login_ttl, "renewable": self.login_renewable}
        return Said(200, {"auth": {"client_token": token, **lease}})

    def _renew(self, token: Token) -> Said:
        if not token.renewable:
            return Said(400, {"errors": ["lease is not renewable"]})
        latest = token.longest if token.longest is not None else float("inf")
        token.ends = min(self.now + token.ttl, latest)
        left = int(token.ends - self.now)
        return Said(200, {"auth": {"lease_duration": left, "renewable": token.renewable}})

    def _kv_2(self, rest: str, asked: Asked) -> Said:
        kind, _, path = rest.partition("/")
        if kind == "metadata" and asked.method == "LIST":
            return self._listed(path)
        if kind != "data":
            hint = "Invalid path for a versioned K/V secrets engine."
            return Said(404, {"errors": [], "warnings": [hint]})
        versions = self.secrets.get(path, Versions()).all
        if asked.method == "GET":
            if not versions:
                return _NOTHING
            deleted = versions[-1] is None
            metadata = {
                "version": len(versions),
                "deletion_time": "2026-01-31T15:45:02Z" if deleted else "",
                "destroyed": False,
            }
            body = {"data": {"data": versions[-1], "metadata": metadata}}
            return Said(404 if deleted else 200, body)
        if self.before_write:
            self.before_write.pop()()
        versions = self.secrets.setdefault(path, Versions()).all
        cas = asked.body.get("options", {}).get("cas")
        if cas is not None and cas != len(versions):
            said = "check-and-set parameter did not match the current version"
            return Said(400, {"errors": [said]})
        versions.append(asked.body["data"])
        return Said(200, {"data": {"version": len(versions)}})

    def _kv_1(self, path: str, asked: Asked) -> Said:
        versions = self.secrets.get(path, Versions()).all
        if asked.method == "LIST":
            return self._listed(path)
        if asked.method == "GET":
            return Said(200, {"data": versions[-1]}) if versions else _NOTHING
        if asked.method == "DELETE":
            self.secrets.pop(path, None)
            return Said(204)
        if not asked.body:
            return Said(400, {"errors": ["missing data fields"]})
        self.secrets[path] = Versions([asked.body])
        return Said(204)

    def _listed(self, folder: str) -> Said:
        inside = f"{folder}/" if folder else ""
        rests = {path.removeprefix(inside) for path in self.secrets if path.startswith(inside)}
        keys = {first + slash for first, slash, _ in (rest.partition("/") for rest in rests)}
        return Said(200, {"data": {"keys": sorted(keys)}}) if keys else _NOTHING


class VaultWireDoubleStand(Stand):
    """hvac against the wire double, with AppRole login. Subclasses set the class attributes."""

    name: ClassVar[str] = "vault"
    double: ClassVar[str] = "wire-double"
    kv_version: ClassVar[int] = 2

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(folder, monkeypatch)
        if importlib.util.find_spec("hvac") is None:
            unavailable("hvac is not installed: pip install 'siteferry[vault]'")
        clear_environment(monkeypatch)
        self.server = VaultDouble(self.kv_version)
        self.secret_id = folder / "secret-id"
        self.secret_id.write_text(f"{SECRET_ID}\n")

    def settings(self) -> dict[str, Any]:
        return {
            "url": self.server.url,
            "kv_version": self.kv_version,
            "auth": "approle",
            "role_id": ROLE_ID,
            "secret_id_file": str(self.secret_id),
            "timeout_seconds": 5,
        }

    def open(self) -> CredentialBackend:
        return open_vault(self.settings())

    def plant(self, site: str, key: str, value: str) -> None:
        self.server.plant(f"siteferry/{site}", {key: value})

    def deny(self) -> None:
        self.server.revoke_all()
        self.server.logins_refused = True

    def disappear(self) -> None:
        self.server.stop()

    def garble(self, site: str, key: str) -> None:
        kept = self.server.secrets[f"siteferry/{site}"].all[-1]
        assert kept is not None
        self.server.plant(f"siteferry/{site}", {key: {"nested": kept[key]}})

    def close(self) -> None:
        self.server.stop()


class VaultOneWireDoubleStand(VaultWireDoubleStand):
    double: ClassVar[str] = "kv1-wire-double"
    kv_version: ClassVar[int] = 1


def opened(stand: VaultWireDoubleStand, **settings: Any) -> CredentialBackend:
    """With the double's clock; `settings` replace those of the stand."""
    from siteferry.credentials.vault import VaultBackend
    from siteferry.credentials.vault_session import VaultSession

    store = VaultStore.model_validate({**stand.settings(), **settings})
    return VaultBackend(store, VaultSession(store, clock=lambda: stand.server.now))


def with_token(stand: VaultWireDoubleStand, token: str, **settings: Any) -> CredentialBackend:
    """As `opened`, with a token of the environment in place of a login."""
    stand.monkeypatch.setenv("VAULT_TOKEN", token)
    return opened(stand, auth="token", **settings)


def open_vault(settings: dict[str, Any]) -> CredentialBackend:
    return open_backend("vault", Settings.model_validate({"credentials": {"vault": settings}}))


def clear_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that no Vault of the machine's own is asked."""
    no_proxies(monkeypatch)
    for name in ("ADDR", "TOKEN", "SECRET_ID", "NAMESPACE"):
        monkeypatch.delenv(f"VAULT_{name}", raising=False)
