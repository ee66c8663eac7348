"""Credentials in AWS Secrets Manager: the secret `<prefix><site>` is a JSON object of keys.

PutSecretValue knows no condition, so a change is written in two steps: a version beside the
current one, under a label of ours; then AWSCURRENT is moved to it *from the version that was
read*. Secrets Manager refuses that if AWSCURRENT is no longer there (UpdateSecretVersionStage,
RemoveFromVersionId), and the change is made anew on what is current now.
Source: docs.aws.amazon.com/secretsmanager/latest/apireference.
"""

from __future__ import annotations

import contextlib
import json
import re
import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, ClassVar

from siteferry.credentials.base import Ability, CredentialBackend, Entry, checked_entry
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
from siteferry.settings.references import is_name
from siteferry.settings.stores import AwsStore

try:
    import boto3
    from botocore import exceptions as troubles
    from botocore.config import Config
except ImportError as error:
    raise missing_sdk("aws") from error

Fields = dict[str, Any]
Reply = dict[str, Any]

_WRITES = 10
_PENDING = "SITEFERRY_PENDING"
_NOBODY = ".probe"  # no site is called so: a name does not begin with a dot

_NOT_FOUND = "ResourceNotFoundException"
_EXISTS = "ResourceExistsException"
_PARAMETER = "InvalidParameterException"
_REQUEST = "InvalidRequestException"
_BUSY = frozenset(
    {
        "InternalFailure",
        "InternalServiceError",
        "LimitExceededException",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
_NOT_ALLOWED = frozenset({"AccessDenied", "AccessDeniedException", "NotAuthorized"})


def open_store(settings: Settings) -> AwsBackend:
    """Raises ConfigurationError where neither the settings nor the SDK's own name a region."""
    return AwsBackend(settings.credentials.aws)


@dataclass(frozen=True, slots=True)
class _Kept:
    """`version` is the VersionId that holds AWSCURRENT, None where there is none."""

    fields: Fields
    version: str | None = None
    scheduled: bool = False
    """For deletion."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """A reply, or the code of an error that the caller expects."""

    reply: Reply
    code: str = ""
    message: str = ""


class AwsBackend(CredentialBackend):
    name: ClassVar[str] = "aws"
    abilities: frozenset[Ability] = frozenset(Ability)

    def __init__(self, store: AwsStore) -> None:
        self._prefix = store.prefix
        trouble = ""
        try:
            session = boto3.session.Session(profile_name=store.profile, region_name=store.region)
            self._client = session.client(
                "secretsmanager",
                endpoint_url=store.endpoint_url,
                config=Config(
                    connect_timeout=store.timeout_seconds,
                    read_timeout=store.timeout_seconds,
                    retries={"mode": "standard", "total_max_attempts": 2},
                ),
            )
        except (troubles.BotoCoreError, ValueError) as wrong:
            trouble = type(wrong).__name__
        if trouble:
            raise ConfigurationError(
                f"AWS Secrets Manager cannot be set up ({trouble})",
                next_step="Check region, profile and endpoint_url of credentials.aws, or "
                "AWS_REGION and AWS_PROFILE of the environment.",
            )

    def probe(self) -> None:
        """Read a secret that cannot exist: that it is absent shows that we may read."""
        self._read(_NOBODY)

    def _get(self, entry: Entry) -> Secret:
        kept = self._read(entry.site)
        if entry.key not in kept.fields:
            raise self._absent(entry, kept)
        value = kept.fields[entry.key]
        if not isinstance(value, str):
            raise CredentialMalformed(
                f"the key {entry.key} of the secret {self._prefix}{entry.site} is not a text",
                next_step="Store it anew, as a text.",
            )
        return Secret(value)

    def _store(self, entry: Entry, value: Secret) -> None:
        self._change(entry.site, lambda kept: kept.fields | {entry.key: value.reveal()})

    def _delete(self, entry: Entry) -> None:
        # The last key's removal leaves an empty object: DeleteSecret would take along what
        # another stores meanwhile, and block the name for a week or more.
        def without(kept: _Kept) -> Fields:
            if entry.key not in kept.fields:
                raise self._absent(entry, kept)
            return {key: value for key, value in kept.fields.items() if key != entry.key}

        self._change(entry.site, without)

    def _list(self) -> Collection[Entry]:
        found: set[Entry] = set()
        page: dict[str, str] = {}
        filters = [{"Key": "name", "Values": [self._prefix]}] if self._prefix else []
        while True:
            reply = self._call("list_secrets", Filters=filters, **page).reply
            for name in (secret["Name"] for secret in reply["SecretList"]):
                site = name.removeprefix(self._prefix)
                if name.startswith(self._prefix) and is_name(site):
                    keys = self._read(site).fields
                    found.update(checked_entry(site, key) for key in keys if is_name(key))
            if not reply.get("NextToken"):
                return found
            page = {"NextToken": reply["NextToken"]}

    def _read(self, site: str) -> _Kept:
        name = self._prefix + site
        answer = self._call(
            "get_secret_value", {_NOT_FOUND, _REQUEST}, SecretId=name, VersionStage="AWSCURRENT"
        )
        if answer.code == _NOT_FOUND:
            return _Kept({})
        if answer.code:
            if "delet" in answer.message:  # "because it was marked for deletion"
                return _Kept({}, scheduled=True)
            raise _refused(answer.code)
        return _Kept(_fields(name, answer.reply.get("SecretString")), answer.reply["VersionId"])

    def _change(self, site: str, change: Callable[[_Kept], Fields]) -> None:
        is_there = False
        for _ in range(_WRITES):
            kept = self._read(site)
            fields = change(kept)
            if kept.scheduled:
                raise CredentialReadOnly(
                    f"the secret {self._prefix}{site} is scheduled for deletion",
                    next_step=self._restore(site),
                )
            if fields == kept.fields and kept.version is not None:
                return
            if kept.version is None and not is_there:
                if self._created(site, fields):
                    return
                is_there = True
            elif self._replaced(site, fields, kept.version):
                return
        raise CredentialUnreachable(
            f"the secret {self._prefix}{site} is changed by somebody else all the time",
            next_step="Try again.",
        )

    def _created(self, site: str, fields: Fields) -> bool:
        answer = self._written(
            "create_secret",
            {_EXISTS},
            Name=self._prefix + site,
            SecretString=json.dumps(fields),
            ClientRequestToken=str(uuid.uuid4()),
            Description="Credentials of a website, for siteferry",
        )
        return not answer.code

    def _replaced(self, site: str, fields: Fields, version: str | None) -> bool:
        """False if AWSCURRENT has been moved since `version` was read."""
        name = self._prefix + site
        put = self._written(
            "put_secret_value",
            SecretId=name,
            SecretString=json.dumps(fields),
            ClientRequestToken=str(uuid.uuid4()),
            VersionStages=[_PENDING],
        )
        moved = self._written(
            "update_secret_version_stage",
            {_PARAMETER},
            SecretId=name,
            VersionStage="AWSCURRENT",
            MoveToVersionId=put.reply["VersionId"],
            **({"RemoveFromVersionId": version} if version else {}),
        )
        return not moved.code

    def _written(self, operation: str, expected: Collection[str] = (), **asked: Any) -> _Answer:
        answer = self._call(operation, {*expected, *_NOT_ALLOWED}, **asked)
        if answer.code in _NOT_ALLOWED:
            raise CredentialReadOnly(
                f"AWS does not allow {operation} on {self._prefix}…",
                next_step="Allow CreateSecret, PutSecretValue and UpdateSecretVersionStage; "
                "docs/credentials/aws.md has the policy.",
            )
        return answer

    def _call(self, operation: str, expected: Collection[str] = (), **asked: Any) -> _Answer:
        """Ask; an error whose code is `expected` is returned, any other raised as one of ours.

        Nothing of the SDK is chained to it: its exceptions hold the reply.
        """
        failure: CredentialError
        try:
            return _Answer(getattr(self._client, operation)(**asked))
        except troubles.ClientError as refusal:
            said = refusal.response.get("Error", {})
            status = refusal.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            code = str(said.get("Code", ""))
            if code in expected:
                return _Answer({}, code, str(said.get("Message", "")))
            failure = _refused(code, status)
        except (
            troubles.NoCredentialsError,
            troubles.PartialCredentialsError,
            troubles.CredentialRetrievalError,
            troubles.NoAuthTokenError,
            troubles.TokenRetrievalError,
            troubles.SSOError,
        ) as lacking:
            failure = CredentialDenied(
                f"there are no AWS credentials to ask with ({type(lacking).__name__})",
                next_step="Give the process a role, AWS_PROFILE, or credentials.aws.profile.",
            )
        except troubles.ParamValidationError:
            failure = CredentialMalformed(
                "AWS Secrets Manager cannot be asked for a secret of that name",
                next_step="Check credentials.aws.prefix.",
            )
        except (troubles.BotoCoreError, ValueError) as trouble:
            failure = CredentialUnreachable(
                f"AWS Secrets Manager does not answer ({type(trouble).__name__})",
                next_step="Check the network, the region, and credentials.aws.endpoint_url.",
            )
        raise failure

    def _absent(self, entry: Entry, kept: _Kept) -> CredentialError:
        step = self._restore(entry.site) if kept.scheduled else "Store it first."
        return CredentialAbsent(
            f"AWS Secrets Manager has no credential {entry} (key {entry.key} of the secret "
            f"{self._prefix}{entry.site}{', scheduled for deletion' * kept.scheduled})",
            next_step=step,
        )

    def _restore(self, site: str) -> str:
        return (
            f"To have it back: aws secretsmanager restore-secret --secret-id {self._prefix}{site}"
        )


def _fields(name: str, text: str | None) -> Fields:
    found: Any = None
    with contextlib.suppress(ValueError):  # it holds the whole text, and is not chained
        found = json.loads(text or "")
    if not isinstance(found, dict):
        raise CredentialMalformed(
            f"the secret {name} is not a JSON object of texts",
            next_step='Its value must look like {"FTP_USERNAME": "…", "FTP_PASSWORD": "…"}.',
        )
    return found


def _refused(code: str, status: int = 0) -> CredentialError:
    shown = code if re.fullmatch(r"[\w.]{1,64}", code) else f"HTTP {status}"
    if code in _BUSY or status >= 500 or status == 429:
        return CredentialUnreachable(
            f"AWS Secrets Manager cannot answer now ({shown})", next_step="Try again."
        )
    if code == "DecryptionFailure":
        step = "Allow kms:Decrypt on the key of the secret."
    elif code in (_REQUEST, _PARAMETER, "ValidationException"):
        step = "Look at the secret in AWS: its state, its replication, its size."
    elif code == _NOT_FOUND:
        step = "It was there a moment ago: look at it in AWS."
    else:
        step = "Check the credentials of AWS and the policy (docs/credentials/aws.md)."
    return CredentialDenied(f"AWS Secrets Manager refuses ({shown})", next_step=step)
