"""A logged-in hvac client: tokens, their renewal, and what a refusal of Vault means.

What hvac and requests raise is not chained to our errors: requests' exceptions hold the request
with the token in its headers, hvac's the body of the reply.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from siteferry.credentials.sdk import missing_sdk
from siteferry.credentials.vault_login import (
    checked_url,
    not_readable,
    read_jwt,
    read_secret_id,
    read_token,
)
from siteferry.errors import (
    ConfigurationError,
    CredentialDenied,
    CredentialError,
    CredentialUnreachable,
)
from siteferry.secret import Secret
from siteferry.settings.stores import VaultStore

try:
    import hvac
    import requests
    from hvac import exceptions as refusals
except ImportError as error:
    raise missing_sdk("vault") from error

Reply = dict[str, Any]
Ask = Callable[[Any], Any]


class ChangedMeanwhileError(Exception):
    """A write with check-and-set came too late: somebody else has written."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """`reply` None means 404. `failure` is what to raise; `forbidden` that it was a 403."""

    reply: Reply | None = None
    failure: Exception | None = None
    forbidden: bool = False


class VaultSession:
    """Logs in at the first call, renews its token when half of the TTL is over, logs in anew when
    the token can no longer be renewed or is refused. Threads may share it."""

    def __init__(
        self,
        store: VaultStore,
        environ: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock` gives seconds.

        Raises:
            ConfigurationError: the settings do not suffice, or name files that are not there.
        """
        self._store = store
        self._environ = os.environ if environ is None else environ
        self._clock = clock
        self._lock = threading.Lock()
        url = checked_url(store, self._environ)
        parts = urlsplit(url)
        self.where = f"Vault at {parts.hostname}:{parts.port or parts.scheme}"
        certificate = store.client_cert and str(store.client_cert)
        options: dict[str, Any] = {
            "url": url,
            "token": "",  # or hvac would look for one
            "namespace": store.namespace or self._environ.get("VAULT_NAMESPACE") or None,
            "timeout": store.timeout_seconds,
            # Without a CA file: VAULT_CACERT, VAULT_CAPATH, then the system's.
            "verify": str(store.ca_file) if store.ca_file else None,
            "cert": (certificate, str(store.client_key)) if store.client_key else certificate,
        }
        self._client = hvac.Client(**options)
        # A login carries no token, least of all one that has been refused.
        self._login_client = hvac.Client(**options)
        self._full_ttl_seconds = 0.0
        self._expires_at: float | None = None
        self._renew_at: float | None = None
        self._renewable = False

    def call(self, ask: Ask) -> Reply | None:
        """What Vault answers; None if it has nothing at the path.

        A secret of KV v2 whose newest version is deleted comes with `data.data` None.

        Raises:
            CredentialDenied, CredentialUnreachable, ConfigurationError
            ChangedMeanwhileError: check-and-set has failed.
        """
        with self._lock:
            self._make_ready()
        token = self._client.token
        answer = self._attempt(self._client, ask)
        if answer.forbidden and self._logged_in_anew(token):
            answer = self._attempt(self._client, ask)
        if answer.failure is not None:
            raise answer.failure
        return answer.reply

    # Tokens

    def _make_ready(self) -> None:
        if not self._client.token:
            self._log_in()
        elif self._renew_at is not None and self._clock() >= self._renew_at:
            self._renew()

    def _logged_in_anew(self, refused_token: str) -> bool:
        """Whether there is now another token than the one that was refused."""
        with self._lock:
            if self._client.token == refused_token:
                self._log_in()
            return bool(self._client.token != refused_token)

    def _renew(self) -> None:
        holds = self._expires_at is None or self._clock() < self._expires_at
        if holds and self._renewable:
            answer = self._attempt(self._client, lambda client: client.auth.token.renew_self())
            if answer.failure is None and answer.reply is not None:
                ttl = self._keep_times(answer.reply.get("auth") or {})
                # Short of its maximum, Vault grants less and less.
                if self._store.auth == "token" or ttl > self._full_ttl_seconds / 2:
                    return
            elif not answer.forbidden:
                return  # the token holds, and the request itself will tell what is wrong
        try:
            self._log_in()
        except CredentialError:
            if not holds:
                raise

    def _log_in(self) -> None:
        """Get a token; for `auth: token` read it anew, which may give the same.

        Raises:
            CredentialDenied, CredentialUnreachable, ConfigurationError
        """
        mount = {"mount_point": self._store.auth_mount or self._store.auth}
        if self._store.auth == "token":
            self._take(read_token(self._store, self._environ))
            return
        ask: Ask
        if self._store.auth == "approle":
            secret_id = read_secret_id(self._store, self._environ).reveal()
            role_id = self._store.role_id
            ask = lambda client: client.auth.approle.login(  # noqa: E731
                role_id, secret_id, use_token=False, **mount
            )
        else:
            jwt = read_jwt(self._store).reveal()
            role = self._store.role
            ask = lambda client: client.auth.kubernetes.login(  # noqa: E731
                role, jwt, use_token=False, **mount
            )
        answer = self._attempt(self._login_client, ask)
        granted = (answer.reply or {}).get("auth") or {}
        token = Secret(str(granted.get("client_token") or ""))
        if isinstance(answer.failure, CredentialUnreachable | ConfigurationError):
            raise answer.failure
        if not token:
            raise CredentialDenied(
                f"{self.where} refuses the login with {self._store.auth}",
                next_step="Check the role, its secret id or service account, where the method is "
                "mounted (credentials.vault.auth_mount), and the namespace.",
            )
        self._client.token = token.reveal()
        self._full_ttl_seconds = self._keep_times(granted)

    def _take(self, token: Secret) -> None:
        if token.reveal() == self._client.token:
            return
        self._client.token = token.reveal()
        answer = self._attempt(self._client, lambda client: client.auth.token.lookup_self())
        if answer.failure is not None:
            # A policy may forbid looking oneself up; then the token is used as it is.
            if not answer.forbidden:
                self._client.token = ""
                raise answer.failure
            self._renew_at = self._expires_at = None
            return
        found = (answer.reply or {}).get("data") or {}
        self._keep_times({"lease_duration": found.get("ttl")} | found)

    def _keep_times(self, granted: Mapping[str, Any]) -> float:
        """Gives the TTL in seconds; 0 means that the token does not end."""
        ttl = granted.get("lease_duration")
        seconds = float(ttl) if isinstance(ttl, int | float) else 0.0
        self._renewable = granted.get("renewable") is True
        now = self._clock()
        self._expires_at = now + seconds if seconds else None
        ours = self._renewable or self._store.auth != "token"
        self._renew_at = now + seconds / 2 if seconds and ours else None
        return seconds

    # Answers

    def _attempt(self, client: Any, ask: Ask) -> _Answer:
        failure: Exception
        forbidden = False
        try:
            reply = ask(client)
            if isinstance(reply, dict):
                return _Answer(reply)
            if reply.status_code == 204:  # requests' own: hvac unpacks only what came with 200
                return _Answer({})
            failure = self._no_vault()
        except refusals.InvalidPath as refusal:
            return self._not_there(refusal)
        except refusals.VaultError as refusal:
            failure = self._refused(refusal)
            forbidden = isinstance(refusal, refusals.Forbidden | refusals.Unauthorized)
        except requests.exceptions.SSLError:
            failure = CredentialUnreachable(
                f"no TLS connection with {self.where}",
                next_step="Check credentials.vault.ca_file, client_cert, and the name in the URL.",
            )
        except requests.exceptions.RequestException:
            failure = CredentialUnreachable(
                f"{self.where} does not answer",
                next_step="Check credentials.vault.url (or VAULT_ADDR), the network, and proxies.",
            )
        except OSError:
            failure = not_readable("ca_file, client_cert or client_key")
        except (ValueError, TypeError, KeyError, AttributeError):  # a body that is not Vault's
            failure = self._no_vault()
        return _Answer(failure=failure, forbidden=forbidden)

    def _no_vault(self) -> CredentialError:
        return CredentialUnreachable(
            f"{self.where} does not answer as Vault does",
            next_step="Check credentials.vault.url (or VAULT_ADDR).",
        )

    def _not_there(self, refusal: Any) -> _Answer:
        body = refusal.json
        if not isinstance(body, dict):
            return _Answer(failure=self._no_vault())
        if body.get("data"):
            return _Answer(body)
        # Nothing at the path: no errors, no warnings. With some, the path itself is wrong.
        if not body.get("errors") and not body.get("warnings"):
            return _Answer()
        return _Answer(
            failure=ConfigurationError(
                f"{self.where} has no KV engine of version {self._store.kv_version} at "
                f"{self._store.mount}, or no login method where it is looked for",
                next_step="Check credentials.vault: mount, kv_version, auth_mount and namespace.",
            )
        )

    def _refused(self, refusal: Any) -> Exception:
        texts = [text for text in refusal.errors or () if isinstance(text, str)]
        if isinstance(refusal, refusals.Forbidden | refusals.Unauthorized):
            return CredentialDenied(
                f"{self.where} refuses (403)",
                next_step="Check the token or login, its policies "
                "(docs/credentials/vault.md), and the namespace.",
            )
        if isinstance(refusal, refusals.InvalidRequest):
            if any("check-and-set parameter did not match" in text for text in texts):
                return ChangedMeanwhileError()
            return CredentialDenied(
                f"{self.where} does not take the request (400)",
                next_step="Check credentials.vault: url, mount, kv_version and namespace.",
            )
        if any("sealed" in text for text in texts):
            return CredentialUnreachable(f"{self.where} is sealed", next_step="Unseal it.")
        return CredentialUnreachable(
            f"{self.where} cannot answer now ({type(refusal).__name__})",
            next_step="Look at its status: vault status.",
        )
