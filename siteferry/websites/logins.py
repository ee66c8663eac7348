"""What a website file may say of a login: a text, a reference, or a text with variables.

Variables are expanded, and references looked up, only where the login is used: whoever starts a
run has no credentials.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

from siteferry.secret import MASK, Secret
from siteferry.settings.expansion import (
    EnvironmentText,
    NotExpandable,
    has_variables,
    unset_variables,
)
from siteferry.settings.references import (
    FORM,
    CredentialReference,
    mentions_credential,
    parse_reference,
)
from siteferry.settings.values import no_controls, wrong


def _login(value: Any) -> str | CredentialReference | EnvironmentText:
    if not isinstance(value, str):
        raise wrong("must be text: put it in quotes")
    no_controls(value)
    if mentions_credential(value):
        reference = parse_reference(value)
        if reference is None:
            raise wrong(f"must be {FORM}, and nothing besides")
        return reference
    if not has_variables(value):
        return value
    try:
        unset_variables(value, {})
    except NotExpandable as error:
        raise wrong(str(error)) from None
    return EnvironmentText(value)


def _username(value: Any) -> str | CredentialReference | EnvironmentText | None:
    if value is None or isinstance(value, CredentialReference | EnvironmentText):
        return value
    return _login(value)


def _password(value: Any) -> Secret | CredentialReference | EnvironmentText | None:
    if value is None or isinstance(value, Secret | CredentialReference | EnvironmentText):
        return value
    login = _login(value)
    return Secret(login) if isinstance(login, str) else login


def _shown(value: object) -> str | None:
    """References and the names of variables may be seen, and nothing else of a login."""
    if value is None or isinstance(value, str):
        return value
    return MASK if isinstance(value, Secret) else str(value)


def _webhook(value: Any) -> Secret:
    if isinstance(value, Secret):
        return value
    if not isinstance(value, str) or not re.match(r"https?://[^/\s]", value):
        raise wrong("must be an address that begins with http:// or https://")
    return Secret(no_controls(value))


Username = Annotated[
    str | CredentialReference | EnvironmentText | None,
    PlainValidator(_username),
    PlainSerializer(_shown),
    WithJsonSchema({"type": ["string", "null"]}),
]
Password = Annotated[
    Secret | CredentialReference | EnvironmentText | None,
    PlainValidator(_password),
    PlainSerializer(_shown),
    WithJsonSchema({"type": ["string", "null"]}),
]
WebhookUrl = Annotated[
    Secret,
    PlainValidator(_webhook),
    PlainSerializer(_shown),
    WithJsonSchema({"type": "string", "pattern": "^https?://"}),
]
