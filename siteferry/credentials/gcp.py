"""Credentials in Google Cloud Secret Manager: one secret for each entry, its newest version counts.

Names are those of `flat_names`, with the prefix of the settings: `shop/FTP_PASSWORD` is
`siteferry-shop--FTP_PASSWORD`. REST is used: the package imports gRPC all the same, but its
threads and channels are not started.
Source: cloud.google.com/secret-manager/docs/reference/rest.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Collection
from typing import Any, ClassVar, TypeVar

from siteferry.credentials.base import Ability, CredentialBackend, Entry
from siteferry.credentials.flat_names import FlatNames
from siteferry.credentials.sdk import missing_sdk
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
from siteferry.settings.stores import GcpStore

try:
    import google.auth
    from google.api_core import exceptions as refusals
    from google.auth import exceptions as troubles
    from google.cloud import secretmanager_v1
    from requests.exceptions import RequestException
except ImportError as error:
    raise missing_sdk("gcp") from error

Answer = TypeVar("Answer")

LONGEST_NAME = 255
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_REGIONAL = re.compile(r"(?:https://)?secretmanager\.([a-z0-9-]+)\.rep\.googleapis\.com/?")
_NOBODY = "-probe"  # behind the prefix it is no entry's: a `-` has a code or a `-` behind it


def open_store(settings: Settings) -> GcpBackend:
    """Nothing is asked yet; the project is found out at first use."""
    return GcpBackend(settings.credentials.gcp)


class GcpBackend(CredentialBackend):
    name: ClassVar[str] = "gcp"
    abilities: frozenset[Ability] = frozenset(Ability)

    def __init__(self, store: GcpStore) -> None:
        self._settings = store
        self._names = FlatNames(store.prefix, LONGEST_NAME, case_counts=True)
        regional = _REGIONAL.fullmatch(store.endpoint or "")
        self._location = regional[1] if regional else None
        self._lock = threading.Lock()
        self._client: secretmanager_v1.SecretManagerServiceClient | None = None
        self._parent = ""

    def probe(self) -> None:
        """Read a secret that cannot exist: that it is absent shows that we may read."""
        self._access(self._settings.prefix + _NOBODY)

    def _get(self, entry: Entry) -> Secret:
        name = self._names.name(entry)
        data = self._access(name)
        if data is None:
            raise self._absent(entry, name)
        try:
            # A file that was uploaded often ends with a line end, and no value does.
            return Secret(data.decode().removesuffix("\n").removesuffix("\r"))
        except UnicodeDecodeError:
            pass  # it holds the value: neither chained nor raised from here
        raise CredentialMalformed(
            f"the secret {name} is not UTF-8 text", next_step="Store it anew."
        )

    def _store(self, entry: Entry, value: Secret) -> None:
        name = self._names.name(entry)
        data = value.reveal().encode()
        if self._add(name, data):
            return
        self._call(lambda client: self._create(client, name), writing=True)
        if not self._add(name, data):
            raise CredentialUnreachable(
                f"the secret {name} is deleted by somebody else", next_step="Try again."
            )

    def _delete(self, entry: Entry) -> None:
        name = self._names.name(entry)

        def path(client: secretmanager_v1.SecretManagerServiceClient) -> str:
            client.delete_secret(request={"name": self._path(name)}, **self._limits())
            return self._path(name)

        if self._call(path, writing=True) is None:
            raise self._absent(entry, name)

    def _list(self) -> Collection[Entry]:
        def names(client: secretmanager_v1.SecretManagerServiceClient) -> list[str]:
            # The filter takes what *contains* the prefix; what begins with it is for _names.
            asked = {"parent": self._parent, "filter": f"name:{self._settings.prefix}"}
            return [secret.name for secret in client.list_secrets(request=asked, **self._limits())]

        paths = self._call(names) or []
        found = (self._names.entry(path.rpartition("/")[2]) for path in paths)
        return {entry for entry in found if entry is not None}

    def _access(self, name: str) -> bytes | None:
        def data(client: secretmanager_v1.SecretManagerServiceClient) -> bytes:
            newest = f"{self._path(name)}/versions/latest"
            reply = client.access_secret_version(request={"name": newest}, **self._limits())
            return bytes(reply.payload.data)

        return self._call(data)

    def _add(self, name: str, data: bytes) -> bool:
        """False if there is no such secret yet."""
        asked = {"payload": {"data": data}}
        added = self._call(
            lambda client: client.add_secret_version(
                request={"parent": self._path(name), **asked}, **self._limits()
            ),
            writing=True,
        )
        return added is not None

    def _create(self, client: secretmanager_v1.SecretManagerServiceClient, name: str) -> None:
        # A regional secret is where it is; any other is replicated as Google sees fit.
        secret: dict[str, Any] = {} if self._location else {"replication": {"automatic": {}}}
        asked = {"parent": self._parent, "secret_id": name, "secret": secret}
        with contextlib.suppress(refusals.Conflict):  # by somebody else, meanwhile
            client.create_secret(request=asked, **self._limits())

    def _path(self, name: str) -> str:
        return f"{self._parent}/secrets/{name}"

    def _limits(self) -> dict[str, Any]:
        return {"retry": None, "timeout": self._settings.timeout_seconds}

    def _opened(self) -> secretmanager_v1.SecretManagerServiceClient:
        with self._lock:
            if self._client is None:
                credentials, project = google.auth.default(scopes=[_SCOPE])
                project = self._settings.project or project
                if not project:
                    raise ConfigurationError(
                        "the Google Cloud project is not known",
                        next_step="Set credentials.gcp.project, or GOOGLE_CLOUD_PROJECT.",
                    )
                place = f"/locations/{self._location}" if self._location else ""
                self._parent = f"projects/{project}{place}"
                endpoint = self._settings.endpoint
                self._client = secretmanager_v1.SecretManagerServiceClient(
                    credentials=credentials,
                    transport="rest",
                    client_options={"api_endpoint": endpoint.rstrip("/")} if endpoint else None,
                )
            return self._client

    def _call(
        self,
        ask: Callable[[secretmanager_v1.SecretManagerServiceClient], Answer],
        *,
        writing: bool = False,
    ) -> Answer | None:
        """What Google answers; None if there is no such secret.

        Nothing of the SDK is chained to an error: its exceptions hold request and reply.
        """
        failure: CredentialError
        try:
            return ask(self._opened())
        except refusals.NotFound as refusal:
            if _is_of_the_service(refusal):
                return None
            failure = CredentialUnreachable(
                "what answers is not Google Cloud Secret Manager",
                next_step="Check credentials.gcp.endpoint.",
            )
        except refusals.GoogleAPICallError as refusal:
            failure = _refused(refusal, writing=writing)
        except (troubles.DefaultCredentialsError, troubles.RefreshError) as lacking:
            if lacking.retryable:
                failure = _no_answer(lacking)
            else:
                failure = CredentialDenied(
                    f"Google Cloud gives us no token ({type(lacking).__name__})",
                    next_step="Run where a service account is attached, or set "
                    "GOOGLE_APPLICATION_CREDENTIALS.",
                )
        except (troubles.GoogleAuthError, refusals.GoogleAPIError, RequestException) as trouble:
            failure = _no_answer(trouble)
        raise failure

    def _absent(self, entry: Entry, name: str) -> CredentialError:
        return CredentialAbsent(
            f"Google Cloud Secret Manager has no credential {entry} (secret {name})",
            next_step="Store it first.",
        )


def _is_of_the_service(refusal: refusals.NotFound) -> bool:
    """A 404 of the service itself says so in JSON; one of another web server does not."""
    try:
        return bool(refusal.response.json()["error"]["status"] == "NOT_FOUND")
    except (AttributeError, LookupError, TypeError, ValueError):
        return False


def _refused(refusal: refusals.GoogleAPICallError, *, writing: bool) -> CredentialError:
    shown = f"HTTP {int(refusal.code)}" if refusal.code else type(refusal).__name__
    if isinstance(refusal, refusals.Forbidden) and writing:
        return CredentialReadOnly(
            f"Google Cloud does not allow to write the secret ({shown})",
            next_step="Grant what docs/credentials/gcp.md lists for storing and deleting.",
        )
    if isinstance(refusal, refusals.Forbidden | refusals.Unauthorized):
        return CredentialDenied(
            f"Google Cloud Secret Manager refuses ({shown})",
            next_step="Grant roles/secretmanager.secretAccessor to the service account, and check "
            "the project and that the API is enabled (docs/credentials/gcp.md).",
        )
    if isinstance(refusal, refusals.BadRequest):
        return CredentialDenied(
            f"Google Cloud Secret Manager does not give the secret ({shown})",
            next_step="Its newest version is disabled or destroyed: enable it, or add another.",
        )
    return CredentialUnreachable(
        f"Google Cloud Secret Manager cannot answer now ({shown})", next_step="Try again."
    )


def _no_answer(trouble: Exception) -> CredentialError:
    return CredentialUnreachable(
        f"Google Cloud Secret Manager does not answer ({type(trouble).__name__})",
        next_step="Check the network, and credentials.gcp.endpoint.",
    )
