"""Google Cloud Secret Manager through the real SDK, against the wire double."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from siteferry.errors import (
    ConfigurationError,
    CredentialAbsent,
    CredentialDenied,
    CredentialReadOnly,
    CredentialUnreachable,
    SiteferryError,
)
from siteferry.secret import Secret
from siteferry.settings import Settings
from tests.stores.gcp_double import GcpWireDoubleStand
from tests.stores.http_double import Asked, Said
from tests.stores.refusals import MARKED, reads, refusal_of, writes
from tests.stores.unmasked import mask_nothing


@pytest.fixture
def gcp(open_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GcpWireDoubleStand]:
    mask_nothing(monkeypatch)
    stand = GcpWireDoubleStand(open_folder, monkeypatch)
    stand.plant("shop", "FTP_PASSWORD", MARKED)
    yield stand
    stand.close()


def test_a_line_end_at_the_end_of_an_uploaded_file_is_dropped(gcp: GcpWireDoubleStand) -> None:
    """`echo … | gcloud secrets versions add --data-file=-` leaves one."""
    for end in ("\n", "\r\n"):
        gcp.plant("shop", "FTP_PASSWORD", f" {MARKED} {end}")
        assert gcp.open().get("shop", "FTP_PASSWORD") == Secret(f" {MARKED} ")


def test_a_disabled_newest_version_is_denied_and_never_absent(gcp: GcpWireDoubleStand) -> None:
    gcp.server.secrets[gcp.secret("shop", "FTP_PASSWORD")].append(None)
    assert "disabled" in refusal_of(CredentialDenied, reads(gcp.open())).next_step


def test_a_secret_without_versions_is_absent_and_can_be_stored(gcp: GcpWireDoubleStand) -> None:
    gcp.server.secrets[gcp.secret("shop", "FTP_PASSWORD")].clear()
    store = gcp.open()
    refusal_of(CredentialAbsent, reads(store))
    store.store("shop", "FTP_PASSWORD", Secret("new"))
    assert store.get("shop", "FTP_PASSWORD") == Secret("new")


def test_two_who_create_a_secret_at_once_both_store(gcp: GcpWireDoubleStand) -> None:
    answer = gcp.server.answer

    def overtaking(asked: Asked) -> Said:
        if asked.method == "POST" and "secretId" in asked.query:
            gcp.plant("shop", "OTHER", "of the other")
        return answer(asked)

    gcp.monkeypatch.setattr(gcp.server, "answer", overtaking)
    store = gcp.open()
    writes(store)()
    assert store.get("shop", "OTHER") == Secret(f"{MARKED}-2")
    assert len(gcp.server.secrets[gcp.secret("shop", "OTHER")]) == 2


def test_whoever_may_only_read_google_s_secrets_is_told_so(gcp: GcpWireDoubleStand) -> None:
    gcp.server.read_only = True
    store = gcp.open()
    refusal_of(CredentialReadOnly, writes(store))
    refusal_of(CredentialReadOnly, lambda: store.delete("shop", "FTP_PASSWORD"))
    assert store.get("shop", "FTP_PASSWORD") == Secret(MARKED)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (Said(404, b"<html>Not Found</html>"), CredentialUnreachable),
        (Said(429, {"error": {"status": "RESOURCE_EXHAUSTED"}}), CredentialUnreachable),
        (Said(500, MARKED.encode()), CredentialUnreachable),
        (Said(503, {"error": {"status": "UNAVAILABLE"}}), CredentialUnreachable),
        (Said(400, {"error": {"status": "INVALID_ARGUMENT", "message": MARKED}}), CredentialDenied),
        (Said(401, {"error": {"status": "UNAUTHENTICATED"}}), CredentialDenied),
    ],
    ids=lambda value: str(getattr(value, "status", "")),
)
def test_each_answer_of_google_has_its_kind(
    gcp: GcpWireDoubleStand, said: Said, kind: type[SiteferryError]
) -> None:
    gcp.server.failing = said
    store = gcp.open()
    refusal_of(kind, reads(store))
    refusal_of(kind, writes(store))
    refusal_of(kind, store.list)


def test_a_google_that_does_not_answer_in_time_is_unreachable(gcp: GcpWireDoubleStand) -> None:
    answer = gcp.server.answer

    def slow(asked: Asked) -> Said:
        threading.Event().wait(0.5)
        return answer(asked)

    given = gcp.settings() | {"timeout_seconds": 0.1}
    gcp.monkeypatch.setattr(gcp, "settings", lambda: given)
    gcp.monkeypatch.setattr(gcp.server, "answer", slow)
    refusal_of(CredentialUnreachable, reads(gcp.open()))


def test_without_credentials_google_is_denied(gcp: GcpWireDoubleStand, tmp_path: Path) -> None:
    gcp.monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "nowhere.json"))
    refusal_of(CredentialDenied, reads(gcp.open()))


def test_a_long_list_of_google_s_is_read_page_by_page(gcp: GcpWireDoubleStand) -> None:
    for number in range(5):
        gcp.plant(f"site{number}", "K", "x")
    gcp.server.secrets["my-siteferry-a--b"] = [b"another's, that contains the prefix"]
    assert len(gcp.open().list()) == 6


def test_a_project_must_be_known_and_a_regional_endpoint_has_secrets_of_its_own(
    gcp: GcpWireDoubleStand,
) -> None:
    import google.auth
    from google.auth.credentials import AnonymousCredentials

    from siteferry.credentials.gcp import open_store

    gcp.monkeypatch.setattr(google.auth, "default", lambda **_: (AnonymousCredentials(), None))
    refusal_of(ConfigurationError, reads(gcp.open()))
    regional = {"project": "p", "endpoint": "secretmanager.europe-west3.rep.googleapis.com"}
    store = open_store(Settings.model_validate({"credentials": {"gcp": regional}}))
    store._opened()
    assert store._path("s") == "projects/p/locations/europe-west3/secrets/s"
