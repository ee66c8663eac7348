"""Vault through the real hvac, against the wire double: logins, tokens, versions, TLS."""

from __future__ import annotations

import datetime as dt
import logging
import ssl
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from siteferry.errors import (
    ConfigurationError,
    CredentialDenied,
    CredentialError,
    CredentialMalformed,
    CredentialUnreachable,
    SiteferryError,
)
from siteferry.secret import Secret
from tests.servers.certificate import Certificate
from tests.stores import refusals
from tests.stores.http_double import Asked, Said
from tests.stores.refusals import MARKED
from tests.stores.unmasked import mask_nothing
from tests.stores.vault_double import (
    JWT,
    KUBERNETES_ROLE,
    ROOT_TOKEN,
    SECRET_ID,
    VaultDouble,
    VaultWireDoubleStand,
    open_vault,
    opened,
    with_token,
)

LOGIN, RENEWAL, LOOKUP = "auth/approle/login", "auth/token/renew-self", "auth/token/lookup-self"


@pytest.fixture
def stand(open_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[VaultWireDoubleStand]:
    mask_nothing(monkeypatch)
    made = VaultWireDoubleStand(open_folder, monkeypatch)
    made.plant("shop", "FTP_PASSWORD", MARKED)
    yield made
    made.close()


def calls(server: VaultDouble, path: str) -> int:
    return sum(asked == f"/v1/{path}" for _, asked in server.requests)


def refusal_of(kind: type[SiteferryError], action: Callable[[], object]) -> SiteferryError:
    return refusals.refusal_of(kind, action, JWT, SECRET_ID, ROOT_TOKEN)


# Tokens


def test_a_login_is_used_until_half_of_its_time_is_over_and_then_renewed(
    stand: VaultWireDoubleStand,
) -> None:
    store = opened(stand)
    for _ in range(3):
        store.get("shop", "FTP_PASSWORD")
    stand.server.now = 1799
    store.get("shop", "FTP_PASSWORD")
    assert (calls(stand.server, LOGIN), calls(stand.server, RENEWAL)) == (1, 0)
    stand.server.now = 1800
    for _ in range(3):
        store.get("shop", "FTP_PASSWORD")
    assert (calls(stand.server, LOGIN), calls(stand.server, RENEWAL)) == (1, 1)


def test_where_the_longest_time_ends_it_logs_in_anew(stand: VaultWireDoubleStand) -> None:
    """Near a token's max_ttl, renewals grant less and less."""
    stand.server.login_max_ttl = 4000
    store = opened(stand)
    for now in (0, 2000, 3900):
        stand.server.now = now
        assert store.get("shop", "FTP_PASSWORD") == Secret(MARKED)
    assert calls(stand.server, LOGIN) == 2


def test_an_expired_login_is_done_again_without_the_old_token(stand: VaultWireDoubleStand) -> None:
    store = opened(stand)
    store.get("shop", "FTP_PASSWORD")
    stand.server.now = 100_000
    assert store.get("shop", "FTP_PASSWORD") == Secret(MARKED)
    assert calls(stand.server, LOGIN) == 2
    assert not any(stand.server.seen_tokens_at_login)


def test_a_login_that_cannot_be_renewed_is_done_again_at_half_time(
    stand: VaultWireDoubleStand,
) -> None:
    stand.server.login_renewable = False
    store = opened(stand)
    store.get("shop", "FTP_PASSWORD")
    stand.server.now = 1801
    store.get("shop", "FTP_PASSWORD")
    assert (calls(stand.server, LOGIN), calls(stand.server, RENEWAL)) == (2, 0)


def test_a_renewal_that_fails_matters_only_when_the_token_has_ended(
    stand: VaultWireDoubleStand,
) -> None:
    store = opened(stand)
    store.get("shop", "FTP_PASSWORD")
    stand.server.logins_refused = True
    for token in stand.server.tokens.values():
        token.renewable = False
    stand.server.now = 2000
    assert store.get("shop", "FTP_PASSWORD") == Secret(MARKED)
    stand.server.now = 3600
    refusal_of(CredentialDenied, lambda: store.get("shop", "FTP_PASSWORD"))


def test_after_a_403_it_logs_in_once_more(stand: VaultWireDoubleStand) -> None:
    store = opened(stand)
    store.get("shop", "FTP_PASSWORD")
    stand.server.revoke_all()
    assert store.get("shop", "FTP_PASSWORD") == Secret(MARKED)
    assert calls(stand.server, LOGIN) == 2


def test_a_second_403_is_denied(stand: VaultWireDoubleStand) -> None:
    store = opened(stand, mount="secret")
    store.get("shop", "FTP_PASSWORD")
    stand.server.namespace = "moved-into-one"
    refusal_of(CredentialDenied, lambda: store.get("shop", "FTP_PASSWORD"))
    read_only = opened(stand, namespace="moved-into-one")
    assert read_only.get("shop", "FTP_PASSWORD") == Secret(MARKED)


def test_a_token_of_the_environment_is_looked_up_once_and_renewed(
    stand: VaultWireDoubleStand,
) -> None:
    store = with_token(stand, stand.server.grant(600))
    for now in (0, 299, 301, 600, 900):
        stand.server.now = now
        assert store.get("shop", "FTP_PASSWORD") == Secret(MARKED)
    assert (calls(stand.server, LOOKUP), calls(stand.server, RENEWAL)) == (1, 2)


def test_a_token_that_ends_and_cannot_be_renewed_is_used_to_its_end(
    stand: VaultWireDoubleStand,
) -> None:
    store = with_token(stand, stand.server.grant(600, renewable=False))
    stand.server.now = 599
    assert store.get("shop", "FTP_PASSWORD") == Secret(MARKED)
    stand.server.now = 600
    refusal_of(CredentialDenied, lambda: store.get("shop", "FTP_PASSWORD"))
    assert calls(stand.server, RENEWAL) == 0


def test_a_token_file_that_an_agent_writes_anew_is_read_anew(
    stand: VaultWireDoubleStand, open_folder: Path
) -> None:
    file = open_folder / "token"
    file.write_text(stand.server.grant(600) + "\n")
    store = opened(stand, auth="token", token_file=str(file))
    assert store.get("shop", "FTP_PASSWORD") == Secret(MARKED)
    stand.server.revoke_all()
    refusal_of(CredentialDenied, lambda: store.get("shop", "FTP_PASSWORD"))
    file.write_text(stand.server.grant(600))
    assert store.get("shop", "FTP_PASSWORD") == Secret(MARKED)


def test_without_another_token_that_of_the_command_line_client_is_used(
    stand: VaultWireDoubleStand, open_folder: Path
) -> None:
    stand.monkeypatch.setenv("HOME", str(open_folder))
    store = opened(stand, auth="token")
    error = refusal_of(CredentialDenied, lambda: store.get("shop", "FTP_PASSWORD"))
    assert "~/.vault-token" in str(error)
    (open_folder / ".vault-token").write_text(ROOT_TOKEN)
    assert store.get("shop", "FTP_PASSWORD") == Secret(MARKED)


@pytest.mark.parametrize("token", ["two\nlines", "ünïcode-日本", "\x00"])
def test_a_token_that_no_header_can_carry_is_not_printed(
    stand: VaultWireDoubleStand, token: str, open_folder: Path
) -> None:
    file = open_folder / "token"
    file.write_text(f"{MARKED}{token}x")
    store = opened(stand, auth="token", token_file=str(file))
    with pytest.raises(CredentialError) as caught:
        store.get("shop", "FTP_PASSWORD")
    assert MARKED not in "".join(traceback.format_exception(caught.value))


def test_threads_share_one_login(stand: VaultWireDoubleStand) -> None:
    store = opened(stand)
    with ThreadPoolExecutor(8) as pool:
        values = list(pool.map(lambda _: store.get("shop", "FTP_PASSWORD"), range(40)))
        stand.server.revoke_all()
        values += pool.map(lambda _: store.get("shop", "FTP_PASSWORD"), range(40))
    assert values == [Secret(MARKED)] * 80
    assert calls(stand.server, LOGIN) == 2


# Logins


def test_kubernetes_logs_in_with_the_service_account(
    stand: VaultWireDoubleStand, open_folder: Path
) -> None:
    file = open_folder / "jwt"
    file.write_text(JWT)
    pod = {"auth": "kubernetes", "jwt_file": str(file)}
    store = opened(stand, **pod, role=KUBERNETES_ROLE)
    assert store.get("shop", "FTP_PASSWORD") == Secret(MARKED)
    wrong = opened(stand, **pod, role="another")
    error = refusal_of(CredentialDenied, lambda: wrong.get("shop", "FTP_PASSWORD"))
    assert "refuses the login with kubernetes" in str(error)
    stand.server.login_mount["kubernetes"] = "cluster-7"
    moved = opened(stand, **pod, role=KUBERNETES_ROLE, auth_mount="cluster-7")
    assert moved.get("shop", "FTP_PASSWORD") == Secret(MARKED)


def test_a_wrong_secret_id_is_denied_and_not_printed(stand: VaultWireDoubleStand) -> None:
    stand.secret_id.write_text(MARKED)
    store = opened(stand)
    error = refusal_of(CredentialDenied, lambda: store.get("shop", "FTP_PASSWORD"))
    assert "refuses the login with approle" in str(error)
    stand.secret_id.unlink()
    refusal_of(CredentialDenied, lambda: store.get("shop", "FTP_PASSWORD"))


def test_the_secret_id_may_be_in_the_environment(stand: VaultWireDoubleStand) -> None:
    settings = {"secret_id_file": None}
    store = opened(stand, **settings)
    error = refusal_of(CredentialDenied, lambda: store.get("shop", "FTP_PASSWORD"))
    assert "VAULT_SECRET_ID" in str(error)
    stand.monkeypatch.setenv("VAULT_SECRET_ID", stand.secret_id.read_text())
    assert opened(stand, **settings).get("shop", "FTP_PASSWORD") == Secret(MARKED)


def test_a_namespace_is_said_at_login_and_after(stand: VaultWireDoubleStand) -> None:
    stand.server.namespace = "agency"
    assert opened(stand, namespace="agency").get("shop", "FTP_PASSWORD") == Secret(MARKED)
    refusal_of(CredentialDenied, lambda: opened(stand).get("shop", "FTP_PASSWORD"))
    stand.monkeypatch.setenv("VAULT_NAMESPACE", "agency")
    assert opened(stand).get("shop", "FTP_PASSWORD") == Secret(MARKED)


# What is configured wrong is not absent


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"mount": "sceret"}, "no KV engine"),
        ({"kv_version": 1}, "no KV engine"),
        ({"auth_mount": "nowhere"}, "no login method"),
    ],
)
def test_a_path_that_vault_does_not_have_is_a_wrong_configuration(
    stand: VaultWireDoubleStand, settings: dict[str, Any], said: str
) -> None:
    store = opened(stand, **settings)
    for action in (lambda: store.get("shop", "FTP_PASSWORD"), store.probe):
        assert said in str(refusal_of(ConfigurationError, action))


def test_version_two_on_an_engine_of_version_one_is_a_wrong_configuration(
    stand: VaultWireDoubleStand,
) -> None:
    """Such an engine takes the write, beside the place."""
    stand.server.kv_version = 1
    store = opened(stand)
    refusal_of(ConfigurationError, lambda: store.store("shop", "K", Secret("value")))
    refusal_of(ConfigurationError, lambda: store.get("shop", "K"))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"url": None}, "VAULT_ADDR"),
        ({"url": "vault.example.com:8200"}, "VAULT_ADDR"),
        ({"role_id": None}, "credentials.vault.role_id"),
        ({"auth": "kubernetes"}, "credentials.vault.role"),
        ({"ca_file": "/nowhere.pem"}, "credentials.vault.ca_file"),
        ({"client_cert": "/nowhere.pem"}, "credentials.vault.client_cert"),
    ],
)
def test_settings_that_do_not_suffice_are_told_when_it_is_opened(
    stand: VaultWireDoubleStand, settings: dict[str, Any], said: str
) -> None:
    error = refusal_of(ConfigurationError, lambda: open_vault(stand.settings() | settings))
    assert said in str(error)


def test_the_address_may_come_from_the_environment(stand: VaultWireDoubleStand) -> None:
    stand.monkeypatch.setenv("VAULT_ADDR", stand.server.url)
    assert opened(stand, url=None).get("shop", "FTP_PASSWORD") == Secret(MARKED)


def test_a_ca_file_that_is_none_is_told(stand: VaultWireDoubleStand, open_folder: Path) -> None:
    file = open_folder / "ca.pem"
    file.write_text(MARKED)
    stand.monkeypatch.setenv("VAULT_TOKEN", ROOT_TOKEN)
    url = stand.server.url.replace("http:", "https:")
    with pytest.raises(SiteferryError, match="ca_file") as caught:
        opened(stand, auth="token", ca_file=str(file), url=url).get("shop", "FTP_PASSWORD")
    assert caught.value.__context__ is None


# A server in trouble


def test_a_sealed_vault_is_unreachable_and_told(stand: VaultWireDoubleStand) -> None:
    for store in (opened(stand), with_token(stand, ROOT_TOKEN)):
        stand.server.sealed = True
        for action in (lambda s=store: s.get("shop", "FTP_PASSWORD"), store.probe, store.list):
            assert "is sealed" in str(refusal_of(CredentialUnreachable, action))
        stand.server.sealed = False
        assert store.get("shop", "FTP_PASSWORD") == Secret(MARKED)


@pytest.mark.parametrize(
    "said",
    [
        Said(200, b"<html>welcome</html>"),
        Said(200, ["a", "list"]),
        Said(404, b"<html>not found</html>"),
        Said(429, {"errors": ["request path kv: rate limit quota exceeded"]}),
        Said(500, {"errors": [{"odd": MARKED}]}),
        Said(502, MARKED.encode()),
        Said(412, {"errors": ["required index state not present"]}),
        Said(404, [MARKED]),
    ],
    ids=lambda said: str(said.status),
)
def test_odd_answers_are_unreachable_and_never_absent(
    stand: VaultWireDoubleStand, said: Said
) -> None:
    store = with_token(stand, ROOT_TOKEN)
    store.probe()
    stand.monkeypatch.setattr(stand.server, "answer", lambda _asked: said)
    refusal_of(CredentialUnreachable, lambda: store.get("shop", "FTP_PASSWORD"))


def test_a_secret_without_fields_is_malformed(stand: VaultWireDoubleStand) -> None:
    body = {"data": {"data": [MARKED], "metadata": {"version": 1}}}
    store = with_token(stand, ROOT_TOKEN)
    store.probe()
    stand.monkeypatch.setattr(stand.server, "answer", lambda _asked: Said(200, body))
    refusal_of(CredentialMalformed, lambda: store.get("shop", "FTP_PASSWORD"))


def test_a_server_that_does_not_answer_in_time_is_unreachable(
    stand: VaultWireDoubleStand,
) -> None:
    def silent(_asked: Asked) -> Said:
        threading.Event().wait(0.5)  # longer than the client does
        return Said(500)

    store = with_token(stand, ROOT_TOKEN, timeout_seconds=0.1)
    stand.monkeypatch.setattr(stand.server, "answer", silent)
    refusal_of(CredentialUnreachable, lambda: store.get("shop", "FTP_PASSWORD"))


# TLS


@pytest.fixture
def client_files(open_folder: Path) -> tuple[Path, Path]:
    """A self-signed client certificate, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "siteferry")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = open_folder / "client.pem", open_folder / "client.key"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return files


def test_the_ca_file_and_the_client_certificate_are_used(
    stand: VaultWireDoubleStand, certificate: Certificate, client_files: tuple[Path, Path]
) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate.file, certificate.key)
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.load_verify_locations(client_files[0])
    server = VaultDouble(tls=tls)
    server.plant("siteferry/shop", {"FTP_PASSWORD": MARKED})
    shown = {"client_cert": str(client_files[0]), "client_key": str(client_files[1])}
    known = {"url": server.url, "ca_file": str(certificate.file)}
    try:
        store = with_token(stand, ROOT_TOKEN, **known, **shown)
        assert store.get("shop", "FTP_PASSWORD") == Secret(MARKED)
        for settings in (known, {"url": server.url, **shown}):
            store = with_token(stand, ROOT_TOKEN, **settings)
            refusal_of(CredentialUnreachable, lambda s=store: s.get("shop", "FTP_PASSWORD"))
        broken = with_token(stand, ROOT_TOKEN, **known, client_cert=str(client_files[1]))
        with pytest.raises(SiteferryError):
            broken.get("shop", "FTP_PASSWORD")
    finally:
        server.stop()


# Logs


def test_no_logger_says_a_value_or_a_token(
    stand: VaultWireDoubleStand, caplog: pytest.LogCaptureFixture
) -> None:
    """Not even at debug, which siteferry's own logging never switches on for libraries."""
    with caplog.at_level(logging.DEBUG):
        store = opened(stand)
        store.get("shop", "FTP_PASSWORD")
        store.store("shop", "OTHER", Secret(f"{MARKED}-2"))
        store.list()
    assert any(record.name.startswith("urllib3") for record in caplog.records)
    for secret in (MARKED, SECRET_ID, *stand.server.tokens):
        assert secret not in caplog.text
