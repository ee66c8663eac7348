"""Azure Key Vault through the real SDK, against the wire double."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from siteferry.credentials import CredentialBackend, Entry
from siteferry.errors import (
    ConfigurationError,
    CredentialAbsent,
    CredentialDenied,
    CredentialReadOnly,
    CredentialUnreachable,
    SiteferryError,
)
from siteferry.secret import Secret
from tests.stores.azure_double import AzureWireDoubleStand
from tests.stores.http_double import Said
from tests.stores.refusals import MARKED, reads, refusal_of, writes
from tests.stores.unmasked import mask_nothing


@pytest.fixture
def azure(open_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AzureWireDoubleStand]:
    mask_nothing(monkeypatch)
    stand = AzureWireDoubleStand(open_folder, monkeypatch)
    stand.plant("shop", "FTP_PASSWORD", MARKED)
    yield stand
    stand.close()


def test_the_first_request_carries_no_body_and_is_answered_with_a_challenge(
    azure: AzureWireDoubleStand,
) -> None:
    store = azure.open()
    writes(store)()
    reads(store)()
    assert azure.server.challenges == 1
    assert len(azure.identity.requests) == 1


def test_azure_s_names_do_not_tell_capitals_from_small_letters(azure: AzureWireDoubleStand) -> None:
    azure.server.secrets["siteferry-shop--ftp-5fusername"] = (
        "SITEFERRY-SHOP--FTP-5FUSERNAME",
        "u123",
    )
    store = azure.open()
    assert store.get("shop", "FTP_USERNAME") == Secret("u123")
    for entry in (Entry("SHOP", "FTP_USERNAME"), Entry("shop", "ftp_username")):
        refusal_of(CredentialAbsent, lambda e=entry: store.get(e.site, e.key))
    assert Entry("shop", "FTP_USERNAME") in store.list()


def opened_azure(azure: AzureWireDoubleStand, slept: list[float]) -> CredentialBackend:
    from siteferry.credentials.azure import AzureBackend
    from siteferry.settings.stores import AzureStore

    return AzureBackend(AzureStore.model_validate(azure.settings()), sleep=slept.append)


def test_what_azure_is_still_deleting_is_waited_for_and_recovered(
    azure: AzureWireDoubleStand,
) -> None:
    slept: list[float] = []
    store = opened_azure(azure, slept)
    store.delete("shop", "FTP_PASSWORD")
    azure.server.still_deleting = 2
    store.store("shop", "FTP_PASSWORD", Secret("new"))
    assert store.get("shop", "FTP_PASSWORD") == Secret("new")
    assert slept == [0.1, 0.5, 1.0]
    assert not azure.server.deleted


def test_what_azure_deletes_for_too_long_is_unreachable(azure: AzureWireDoubleStand) -> None:
    slept: list[float] = []
    azure.server.still_deleting = 1000
    refusal_of(CredentialUnreachable, writes(opened_azure(azure, slept)))
    assert sum(slept) < 20


def test_a_disabled_secret_of_azure_s_is_denied_and_never_absent(
    azure: AzureWireDoubleStand,
) -> None:
    name = azure.secret("shop", "FTP_PASSWORD")
    azure.server.secrets[name.lower()] = (name, None)
    assert "disabled" in str(refusal_of(CredentialDenied, reads(azure.open())))


def test_a_firewall_of_azure_s_is_told(azure: AzureWireDoubleStand) -> None:
    azure.server.denied, azure.server.inner_refusal = True, "ForbiddenByFirewall"
    store = azure.open()
    assert "network rules" in str(refusal_of(CredentialDenied, reads(store)))
    refusal_of(CredentialDenied, writes(store))


def test_whoever_may_only_read_azure_s_secrets_is_told_so(azure: AzureWireDoubleStand) -> None:
    azure.server.read_only = True
    store = azure.open()
    refusal_of(CredentialReadOnly, writes(store))
    refusal_of(CredentialReadOnly, lambda: store.delete("shop", "FTP_PASSWORD"))
    assert store.get("shop", "FTP_PASSWORD") == Secret(MARKED)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (Said(404, b"<html>Not Found</html>"), CredentialUnreachable),
        (Said(404, {"error": {"code": "VaultNotFound", "message": MARKED}}), CredentialUnreachable),
        (Said(400, {"error": {"code": "BadParameter", "message": MARKED}}), CredentialDenied),
        (Said(429, {"error": {"code": "Throttled"}}, {"Retry-After": "0"}), CredentialUnreachable),
        (Said(500, MARKED.encode(), {"Retry-After": "0"}), CredentialUnreachable),
    ],
    ids=lambda value: str(getattr(value, "status", "")),
)
def test_each_answer_of_azure_has_its_kind(
    azure: AzureWireDoubleStand, said: Said, kind: type[SiteferryError]
) -> None:
    azure.server.failing = said
    store = azure.open()
    refusal_of(kind, reads(store))
    refusal_of(kind, writes(store))
    refusal_of(kind, store.list)


def test_without_an_identity_azure_is_denied(azure: AzureWireDoubleStand) -> None:
    azure.identity.refuses = True
    azure.monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "prod")  # no tools of a developer's
    refusal_of(CredentialDenied, reads(azure.open()))


def test_a_vault_whose_challenge_is_another_one_s_gets_no_token(
    azure: AzureWireDoubleStand,
) -> None:
    """Or whoever answers in its place would be given one for the real vaults."""
    said = 'Bearer authorization="https://login.double/t", resource="https://vault.azure.net"'
    azure.monkeypatch.setattr(
        azure.server, "answer", lambda _asked: Said(401, {}, {"WWW-Authenticate": said})
    )
    refusal_of(ConfigurationError, reads(azure.open()))
    assert not azure.identity.requests


def test_a_long_list_of_azure_s_is_read_page_by_page(azure: AzureWireDoubleStand) -> None:
    for number in range(5):
        azure.plant(f"site{number}", "K", "x")
    azure.server.secrets["another"] = ("another", "x")
    assert len(azure.open().list()) == 6


@pytest.mark.parametrize("url", [None, "http://name.vault.azure.net", "name.vault.azure.net"])
def test_the_vault_must_be_named_with_https(azure: AzureWireDoubleStand, url: str | None) -> None:
    azure.monkeypatch.setattr(azure, "settings", lambda: {"vault_url": url})
    refusal_of(ConfigurationError, azure.open)
