"""Credentials in Azure Key Vault: one secret for each entry, its newest version counts.

Names are those of `flat_names`, with the prefix of the settings, for a vault that does not tell
capitals from small letters: `shop/FTP_PASSWORD` is `siteferry-shop--FTP-5fPASSWORD`.
Source: learn.microsoft.com/rest/api/keyvault/secrets.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterator
from typing import Any, ClassVar
from urllib.parse import urlsplit

from siteferry.credentials.base import Ability, CredentialBackend, Entry
from siteferry.credentials.flat_names import FlatNames
from siteferry.credentials.sdk import missing_sdk
from siteferry.errors import (
    ConfigurationError,
    CredentialAbsent,
    CredentialDenied,
    CredentialMalformed,
    CredentialReadOnly,
    CredentialUnreachable,
    SiteferryError,
)
from siteferry.secret import Secret
from siteferry.settings import Settings
from siteferry.settings.stores import AzureStore

try:
    from azure.core import exceptions as refusals
    from azure.identity import DefaultAzureCredential
    from azure.keyvault.secrets import SecretClient
except ImportError as error:
    raise missing_sdk("azure") from error

LONGEST_NAME = 127
_NOBODY = "-probe"  # behind the prefix it is no entry's: a `-` has a code or a `-` behind it

_ABSENT = "SecretNotFound"
_DELETED = "ObjectIsDeletedButRecoverable"
_BETWEEN = frozenset({"ObjectIsBeingDeleted", "ObjectIsBeingRecovered"})
_PATIENCE_SECONDS = (0.1, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Waited before each further try to store what was just deleted; Azure takes seconds for it."""


def open_store(settings: Settings) -> AzureBackend:
    """Raises ConfigurationError where the settings name no vault."""
    return AzureBackend(settings.credentials.azure)


class AzureBackend(CredentialBackend):
    name: ClassVar[str] = "azure"
    abilities: frozenset[Ability] = frozenset(Ability)

    def __init__(self, store: AzureStore, sleep: Callable[[float], None] = time.sleep) -> None:
        url = store.vault_url or ""
        if urlsplit(url).scheme != "https":
            raise ConfigurationError(
                "the Azure Key Vault is not named, or not by an https URL",
                next_step="Set credentials.azure.vault_url: https://NAME.vault.azure.net",
            )
        self._sleep = sleep
        self._names = FlatNames(store.prefix, LONGEST_NAME, case_counts=False)
        logger = logging.getLogger("azure")
        if logger.level == logging.NOTSET:
            # At info it says a dozen lines for each request.
            logger.setLevel(logging.WARNING)
        self._client = SecretClient(
            url,
            DefaultAzureCredential(),
            connection_timeout=store.timeout_seconds,
            read_timeout=store.timeout_seconds,
            retry_total=1,
        )

    def probe(self) -> None:
        """Read a secret that cannot exist: that it is absent shows that we may read."""
        self._ask(lambda: self._client.get_secret(self._names.prefix + _NOBODY), {_ABSENT})

    def _get(self, entry: Entry) -> Secret:
        name = self._names.name(entry)
        secret, missing = self._ask(lambda: self._client.get_secret(name), {_ABSENT})
        if missing:
            raise self._absent(entry, name)
        if not isinstance(secret.value, str):
            raise CredentialMalformed(f"the secret {name} has no value", next_step="Store it anew.")
        return Secret(secret.value)

    def _store(self, entry: Entry, value: Secret) -> None:
        name = self._names.name(entry)
        for pause in (*_PATIENCE_SECONDS, 0):
            _, conflict = self._ask(
                lambda: self._client.set_secret(name, value.reveal()),
                {_DELETED, *_BETWEEN},
                writing=True,
            )
            if not conflict:
                return
            if conflict == _DELETED:
                # A deleted secret holds its name until it is purged; recovered, it is overwritten.
                self._ask(
                    lambda: self._client.begin_recover_deleted_secret(name),
                    {_ABSENT, *_BETWEEN},
                    writing=True,
                )
            self._sleep(pause)
        raise CredentialUnreachable(
            f"Azure is still deleting or recovering the secret {name}",
            next_step="Try again in a minute.",
        )

    def _delete(self, entry: Entry) -> None:
        name = self._names.name(entry)
        # From the first answer on it is gone for readers; what follows only makes it recoverable.
        _, missing = self._ask(
            lambda: self._client.begin_delete_secret(name), {_ABSENT}, writing=True
        )
        if missing:
            raise self._absent(entry, name)

    def _list(self) -> Collection[Entry]:
        names, _ = self._ask(
            lambda: [secret.name for secret in self._client.list_properties_of_secrets()]
        )
        found = (self._names.entry(name) for name in names if name)
        return {entry for entry in found if entry is not None}

    def _ask(
        self, ask: Callable[[], Any], expected: Collection[str] = (), *, writing: bool = False
    ) -> tuple[Any, str]:
        """What Azure answers, and the `expected` code if it answers with an error of that code.

        Nothing of the SDK is chained to an error: its exceptions hold request and reply.
        """
        failure: SiteferryError
        try:
            return ask(), ""
        except refusals.HttpResponseError as refusal:
            codes = list(_codes(refusal))
            known = next((code for code in codes if code in expected), "")
            if known:
                return None, known
            failure = _refused(refusal, codes, writing=writing)
        except ValueError:  # of the challenge: not the vault that it says it is
            failure = ConfigurationError(
                "what answers as Azure Key Vault belongs to another domain",
                next_step="Check credentials.azure.vault_url.",
            )
        except refusals.AzureError as trouble:
            failure = CredentialUnreachable(
                f"Azure Key Vault does not answer ({type(trouble).__name__})",
                next_step="Check credentials.azure.vault_url and the network.",
            )
        raise failure

    def _absent(self, entry: Entry, name: str) -> SiteferryError:
        return CredentialAbsent(
            f"Azure Key Vault has no credential {entry} (secret {name})",
            next_step="Store it first.",
        )


def _codes(refusal: refusals.HttpResponseError) -> Iterator[str]:
    """The code of an error, and those inside it: `Conflict`, then `ObjectIsBeingDeleted`."""
    if refusal.error is None:
        return
    yield str(refusal.error.code)
    inner: Any = refusal.error.innererror
    while isinstance(inner, dict):
        yield str(inner.get("code"))
        inner = inner.get("innererror")


def _refused(
    refusal: refusals.HttpResponseError, codes: Collection[str], *, writing: bool
) -> SiteferryError:
    status = refusal.status_code
    if isinstance(refusal, refusals.ClientAuthenticationError):
        return CredentialDenied(
            "Azure gives us no token, or Key Vault does not take it",
            next_step="Check the identity of this process: a managed or workload identity, or "
            "AZURE_CLIENT_ID and its companions (docs/credentials/azure.md).",
        )
    if "SecretDisabled" in codes:
        return CredentialDenied(
            "the secret is disabled in Azure Key Vault", next_step="Enable it, or store it anew."
        )
    if any(code in ("ForbiddenByFirewall", "ForbiddenByConnection") for code in codes):
        return CredentialDenied(
            "the network rules of the Azure Key Vault keep us out",
            next_step="Admit this network, or use a private endpoint.",
        )
    if status == 403 and writing:
        return CredentialReadOnly(
            "Azure Key Vault does not allow to write the secret",
            next_step="Grant what docs/credentials/azure.md lists for storing and deleting.",
        )
    if status in (401, 403):
        return CredentialDenied(
            f"Azure Key Vault refuses ({status})",
            next_step="Grant the role Key Vault Secrets User on the vault.",
        )
    if status is not None and status < 500 and status not in (404, 408, 429):
        return CredentialDenied(
            f"Azure Key Vault does not take the request ({status})",
            next_step="Look at the secret in Azure.",
        )
    return CredentialUnreachable(
        f"Azure Key Vault cannot answer now ({status})",
        next_step="Check credentials.azure.vault_url, or try again.",
    )
