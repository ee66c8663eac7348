"""What the tests of single stores ask of every error."""

from __future__ import annotations

import base64
import traceback
from collections.abc import Callable

import pytest

from siteferry.credentials import CredentialBackend
from siteferry.errors import SiteferryError
from siteferry.secret import Secret

MARKED = "hunter2-S3cret-Marked"
IN_BASE64 = base64.b64encode(MARKED.encode()).decode()


def refusal_of(
    kind: type[SiteferryError], action: Callable[[], object], *hidden: str
) -> SiteferryError:
    """The error, which has a next step and shows no secret, nor is chained to what might: neither
    MARKED nor what is `hidden`."""
    with pytest.raises(kind) as caught:
        action()
    assert type(caught.value) is kind
    assert caught.value.next_step
    assert caught.value.__context__ is None
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    for secret in (MARKED, IN_BASE64, *hidden):
        assert secret not in shown
    return caught.value


def reads(store: CredentialBackend) -> Callable[[], object]:
    return lambda: store.get("shop", "FTP_PASSWORD")


def writes(store: CredentialBackend) -> Callable[[], object]:
    return lambda: store.store("shop", "OTHER", Secret(f"{MARKED}-2"))
