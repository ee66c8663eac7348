"""Credentials in HashiCorp Vault or OpenBao, secrets engine KV, version 1 or 2.

The entry `shop/FTP_PASSWORD` is the field FTP_PASSWORD of the secret `<mount>/<prefix>/shop`.
KV v2 writes with check-and-set, so writers of two fields of one secret lose nothing. KV v1 has no
such thing: of two writers at the same moment, the later wins, with what it had read before.
Sources: developer.hashicorp.com/vault/api-docs/secret/kv (kv-v1, kv-v2).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, ClassVar

from siteferry.credentials.base import Ability, CredentialBackend, Entry, checked_entry
from siteferry.credentials.vault_session import ChangedMeanwhileError, Reply, VaultSession
from siteferry.errors import (
    ConfigurationError,
    CredentialAbsent,
    CredentialDenied,
    CredentialError,
    CredentialMalformed,
    CredentialReadOnly,
    CredentialUnreachable,
)
from siteferry.secret import Secret
from siteferry.settings import Settings
from siteferry.settings.references import is_name
from siteferry.settings.stores import VaultStore

Fields = dict[str, Any]

_WRITES = 10
"""How often a write is tried that somebody else has overtaken."""

_NOBODY = ".probe"
"""No site is called so: a name does not begin with a dot."""


def open_store(settings: Settings) -> VaultBackend:
    """Raises ConfigurationError where the settings do not suffice."""
    store = settings.credentials.vault
    return VaultBackend(store, VaultSession(store))


@dataclass(frozen=True, slots=True)
class _Kept:
    """What a secret holds; `version` is 0 where there never was one (and always with KV v1)."""

    fields: Fields
    version: int = 0


class VaultBackend(CredentialBackend):
    name: ClassVar[str] = "vault"
    abilities: frozenset[Ability] = frozenset(Ability)

    def __init__(self, store: VaultStore, session: VaultSession) -> None:
        self._session = session
        self._versioned = store.kv_version == 2
        self._mount = store.mount.strip("/")
        self._prefix = store.prefix.strip("/")

    def probe(self) -> None:
        """Read a secret that cannot exist: that it is absent shows that we may read."""
        self._read(_NOBODY)

    def _get(self, entry: Entry) -> Secret:
        fields = self._read(entry.site).fields
        if entry.key not in fields:
            raise self._absent(entry)
        value = fields[entry.key]
        if not isinstance(value, str):
            raise CredentialMalformed(
                f"the field {entry.key} of {self._shown(entry.site)} in Vault is not a text",
                next_step="Store it anew, as a text.",
            )
        return Secret(value)

    def _store(self, entry: Entry, value: Secret) -> None:
        self._change(entry.site, lambda fields: fields | {entry.key: value.reveal()})

    def _delete(self, entry: Entry) -> None:
        def without(fields: Fields) -> Fields:
            if entry.key not in fields:
                raise self._absent(entry)
            return {key: value for key, value in fields.items() if key != entry.key}

        self._change(entry.site, without)

    def _list(self) -> Collection[Entry]:
        place = {"path": self._prefix, "mount_point": self._mount}
        reply = self._session.call(lambda client: self._engine(client).list_secrets(**place))
        found = ((reply or {}).get("data") or {}).get("keys") or ()
        # A name with a slash at its end is a folder.
        sites = [site for site in found if isinstance(site, str) and is_name(site)]
        return {
            checked_entry(site, key)
            for site in sites
            for key in self._read(site).fields
            if is_name(key)
        }

    def _change(self, site: str, change: Callable[[Fields], Fields]) -> None:
        for _ in range(_WRITES):
            kept = self._read(site)
            fields = change(kept.fields)
            if fields == kept.fields:
                return
            try:
                self._write(site, fields, kept.version)
                return
            except ChangedMeanwhileError:
                continue
            except CredentialDenied:
                break  # what could be read
        else:
            raise CredentialUnreachable(
                f"{self._shown(site)} in Vault is changed by somebody else all the time",
                next_step="Try again.",
            )
        raise CredentialReadOnly(
            f"{self._shown(site)} in Vault may be read and not written",
            next_step="Give the policy `create` and `update` on it (KV v1, to delete: `delete`); "
            "docs/credentials/vault.md has it in full.",
        )

    def _read(self, site: str) -> _Kept:
        place = self._place(site)
        if not self._versioned:
            reply = self._session.call(lambda client: client.secrets.kv.v1.read_secret(**place))
            return _Kept(self._fields(site, reply.get("data") if reply else None))
        reply = self._session.call(
            lambda client: client.secrets.kv.v2.read_secret_version(
                **place, raise_on_deleted_version=True
            )
        )
        if reply is None:
            return _Kept({})
        data = reply.get("data") or {}
        metadata = data.get("metadata") if isinstance(data, dict) else None
        if not isinstance(metadata, dict) or not isinstance(metadata.get("version"), int):
            raise self._other_version()
        return _Kept(self._fields(site, data.get("data")), metadata["version"])

    def _write(self, site: str, fields: Fields, version: int) -> None:
        place = self._place(site)
        if self._versioned:
            # The last field's removal is a version without fields, for deleting a secret knows no
            # check-and-set: what another has stored meanwhile would be gone.
            reply = self._session.call(
                lambda client: client.secrets.kv.v2.create_or_update_secret(
                    **place, secret=fields, cas=version
                )
            )
            if not (reply or {}).get("data"):
                raise self._other_version()
        elif fields:
            self._session.call(
                lambda client: client.secrets.kv.v1.create_or_update_secret(
                    **place, secret=fields, method="POST"
                )
            )
        else:
            self._session.call(lambda client: client.secrets.kv.v1.delete_secret(**place))

    def _engine(self, client: Any) -> Any:
        return client.secrets.kv.v2 if self._versioned else client.secrets.kv.v1

    def _place(self, site: str) -> dict[str, str]:
        return {"path": f"{self._prefix}/{site}".strip("/"), "mount_point": self._mount}

    def _shown(self, site: str) -> str:
        return f"{self._mount}/{self._place(site)['path']}"

    def _fields(self, site: str, data: Reply | None) -> Fields:
        if data is None:
            return {}
        if not isinstance(data, dict):
            raise CredentialMalformed(
                f"{self._shown(site)} in Vault has no fields", next_step="Store it anew."
            )
        return data

    def _absent(self, entry: Entry) -> CredentialError:
        return CredentialAbsent(
            f"Vault has no credential {entry} (field {entry.key} of {self._shown(entry.site)})",
            next_step="Store it first.",
        )

    def _other_version(self) -> ConfigurationError:
        return ConfigurationError(
            f"the engine {self._mount} of Vault is not KV version 2",
            next_step="Set credentials.vault.kv_version to 1, or correct the mount.",
        )
