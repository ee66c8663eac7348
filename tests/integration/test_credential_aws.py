"""AWS Secrets Manager through the real boto3, against moto."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from siteferry.credentials import Entry
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
from tests.stores.aws_double import PREFIX, AwsMotoDoubleStand
from tests.stores.refusals import MARKED, reads, refusal_of, writes
from tests.stores.unmasked import mask_nothing


@pytest.fixture
def aws(open_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsMotoDoubleStand]:
    mask_nothing(monkeypatch)
    stand = AwsMotoDoubleStand(open_folder, monkeypatch)
    stand.plant("shop", "FTP_PASSWORD", MARKED)
    yield stand
    stand.close()


def overtaken(store: Any, operation: str, by: Callable[[], object], times: int = 1) -> None:
    """Before the store's next `operation` goes out, somebody else does something."""
    left = [by] * times

    def first(**_: Any) -> None:
        if left:
            left.pop()()

    store._client.meta.events.register(f"before-call.secrets-manager.{operation}", first)


def test_two_writers_of_one_secret_lose_nothing(aws: AwsMotoDoubleStand) -> None:
    """The other has read and written between our reading and our writing."""
    store, other = aws.open(), aws.open()
    overtaken(store, "PutSecretValue", lambda: other.store("shop", "FTP_USERNAME", Secret("u1")))
    store.store("shop", "OTHER", Secret("other"))
    overtaken(store, "UpdateSecretVersionStage", lambda: other.delete("shop", "FTP_USERNAME"))
    store.store("shop", "MORE", Secret("more"))
    assert [str(entry) for entry in aws.open().list()] == [
        "shop/FTP_PASSWORD",
        "shop/MORE",
        "shop/OTHER",
    ]
    assert aws.open().get("shop", "FTP_PASSWORD") == Secret(MARKED)


def test_the_first_two_writers_of_a_site_lose_nothing(aws: AwsMotoDoubleStand) -> None:
    store, other = aws.open(), aws.open()
    overtaken(store, "CreateSecret", lambda: other.store("fresh", "FTP_USERNAME", Secret("u1")))
    store.store("fresh", "FTP_PASSWORD", Secret("p"))
    assert [entry.key for entry in other.list("fresh")] == ["FTP_PASSWORD", "FTP_USERNAME"]


def test_a_writer_who_is_always_overtaken_gives_up(aws: AwsMotoDoubleStand) -> None:
    store, other = aws.open(), aws.open()
    turns = iter(range(100))
    overtaken(
        store,
        "PutSecretValue",
        lambda: other.store("shop", "TURN", Secret(f"turn-{next(turns)}")),
        times=100,
    )
    error = refusal_of(CredentialUnreachable, writes(store))
    assert "changed by somebody else" in str(error)


def test_the_version_before_is_aws_s_previous_one(aws: AwsMotoDoubleStand) -> None:
    writes(aws.open())()
    before = aws.client().get_secret_value(SecretId=f"{PREFIX}shop", VersionStage="AWSPREVIOUS")
    assert json.loads(before["SecretString"]) == {"FTP_PASSWORD": MARKED}


def test_the_last_key_s_removal_leaves_an_empty_object(aws: AwsMotoDoubleStand) -> None:
    store = aws.open()
    store.delete("shop", "FTP_PASSWORD")
    value = aws.client().get_secret_value(SecretId=f"{PREFIX}shop", VersionStage="AWSCURRENT")
    assert value["SecretString"] == "{}"
    assert store.list() == ()


def test_a_secret_that_is_scheduled_for_deletion_is_absent_and_can_be_had_back(
    aws: AwsMotoDoubleStand,
) -> None:
    aws.client().delete_secret(SecretId=f"{PREFIX}shop", RecoveryWindowInDays=7)
    store = aws.open()
    error = refusal_of(CredentialAbsent, reads(store))
    assert "scheduled for deletion" in str(error)
    assert f"aws secretsmanager restore-secret --secret-id {PREFIX}shop" in error.next_step
    assert "restore-secret" in refusal_of(CredentialReadOnly, writes(store)).next_step
    refusal_of(CredentialAbsent, lambda: store.delete("shop", "FTP_PASSWORD"))
    assert store.list() == ()
    aws.client().restore_secret(SecretId=f"{PREFIX}shop")
    assert store.get("shop", "FTP_PASSWORD") == Secret(MARKED)


@pytest.mark.parametrize("text", ["", "[]", f'"{MARKED}"', f'{{"FTP_PASSWORD": "{MARKED}'])
def test_a_secret_that_is_no_object_is_malformed_and_not_written_over(
    aws: AwsMotoDoubleStand, text: str
) -> None:
    client = aws.client()
    if text:
        client.create_secret(Name=f"{PREFIX}odd", SecretString=text)
    else:
        client.create_secret(Name=f"{PREFIX}odd", SecretBinary=b"\xff")
    store = aws.open()
    refusal_of(CredentialMalformed, lambda: store.get("odd", "FTP_PASSWORD"))
    refusal_of(CredentialMalformed, lambda: store.store("odd", "OTHER", Secret("value")))


def test_a_value_that_is_no_text_is_malformed(aws: AwsMotoDoubleStand) -> None:
    text = json.dumps({"PORT": 21, "NESTED": {"a": MARKED}, "not a key": "x"})
    aws.client().create_secret(Name=f"{PREFIX}odd", SecretString=text)
    store = aws.open()
    for key in ("PORT", "NESTED"):
        refusal_of(CredentialMalformed, lambda k=key: store.get("odd", k))
    assert [entry.key for entry in store.list("odd")] == ["NESTED", "PORT"]


def test_other_secrets_are_not_listed(aws: AwsMotoDoubleStand) -> None:
    client = aws.client()
    for name in ("elsewhere/shop", f"{PREFIX}sub/shop", f"{PREFIX}not+a+site"):
        client.create_secret(Name=name, SecretString='{"K": "x"}')
    assert aws.open().list() == (Entry("shop", "FTP_PASSWORD"),)


DENIED = [
    "AccessDeniedException",
    "ExpiredTokenException",
    "UnrecognizedClientException",
    "InvalidSignatureException",
    "DecryptionFailure",
    "InvalidRequestException",
    "InvalidParameterException",
    "SomethingNew",
]
BUSY = ["ThrottlingException", "InternalServiceError", "RequestLimitExceeded"]


@pytest.mark.parametrize(
    ("code", "kind"),
    [*((code, CredentialDenied) for code in DENIED), *((c, CredentialUnreachable) for c in BUSY)],
)
def test_each_error_of_aws_has_its_kind(
    aws: AwsMotoDoubleStand, code: str, kind: type[SiteferryError]
) -> None:
    """moto makes few of them: the stubber of botocore makes them."""
    from botocore.stub import Stubber

    store: Any = aws.open()
    with Stubber(store._client) as stub:
        stub.add_client_error("get_secret_value", code, MARKED, http_status_code=400)
        assert code in str(refusal_of(kind, reads(store)))


@pytest.mark.parametrize("operation", ["put_secret_value", "update_secret_version_stage"])
def test_whoever_may_only_read_is_told_so(aws: AwsMotoDoubleStand, operation: str) -> None:
    from botocore.stub import Stubber

    store: Any = aws.open()
    kept = store._client.get_secret_value(SecretId=f"{PREFIX}shop")
    with Stubber(store._client) as stub:
        stub.add_response("get_secret_value", {k: kept[k] for k in ("SecretString", "VersionId")})
        if operation != "put_secret_value":
            stub.add_response("put_secret_value", {"VersionId": "x" * 32})
        stub.add_client_error(operation, "AccessDeniedException", MARKED)
        assert operation in str(refusal_of(CredentialReadOnly, writes(store)))


def test_a_long_list_is_read_page_by_page(aws: AwsMotoDoubleStand) -> None:
    from botocore.stub import Stubber

    store: Any = aws.open()
    with Stubber(store._client) as stub:
        for number, more in ((1, {"NextToken": "t"}), (2, {})):
            name = f"{PREFIX}site{number}"
            stub.add_response("list_secrets", {"SecretList": [{"Name": name}], **more})
            value = {"SecretString": '{"K": "x"}', "VersionId": "v" * 32}
            stub.add_response("get_secret_value", value)
        assert [str(entry) for entry in store.list()] == ["site1/K", "site2/K"]


def test_without_credentials_aws_is_denied(aws: AwsMotoDoubleStand) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        aws.monkeypatch.delenv(name)
    for name in ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_WEB_IDENTITY_TOKEN_FILE"):
        aws.monkeypatch.delenv(name, raising=False)
    error = refusal_of(CredentialDenied, reads(aws.open()))
    assert "NoCredentialsError" in str(error)


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"region": None}, "NoRegionError"), ({"profile": "nobody"}, "ProfileNotFound"),
     ({"endpoint_url": "no-url"}, "ValueError")],
)  # fmt: skip
def test_settings_that_do_not_suffice_are_told_when_it_is_opened(
    aws: AwsMotoDoubleStand, settings: dict[str, Any], said: str
) -> None:
    given = aws.settings() | settings
    aws.monkeypatch.setattr(aws, "settings", lambda: given)
    assert said in str(refusal_of(ConfigurationError, aws.open))
