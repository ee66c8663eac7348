"""`metrics` of the settings: where it listens, and where its token comes from."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from siteferry.credentials.cache import Stores
from siteferry.credentials.resolve import resolve_flower_password, resolve_metrics_token
from siteferry.errors import ConfigurationError, SiteferryError
from siteferry.settings import Settings
from siteferry.settings.document import parse_document
from siteferry.settings.loading import settings_of
from siteferry.settings.metrics import split_listen

TOKEN = "marked-token-0123"


def examined(
    folder: Path, metrics: Mapping[str, object], environ: Mapping[str, str] | None = None
) -> tuple[Settings | None, list[str]]:
    file = folder / "siteferry.yaml"
    text = json.dumps({"metrics": metrics}).encode()
    settings, problems = settings_of(parse_document(text, file.name), file, environ or {})
    return settings, [str(problem) for problem in problems]


def token_of(settings: Settings | None) -> str | None:
    assert settings is not None
    token = resolve_metrics_token(Stores(settings))
    return None if token is None else token.reveal()


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("127.0.0.1:9808", ("127.0.0.1", 9808)),
        ("0.0.0.0:1", ("0.0.0.0", 1)),  # noqa: S104
        ("[::1]:9808", ("::1", 9808)),
        ("localhost:65535", ("localhost", 65535)),
        ("::1:9808", None),
        ("9808", None),
        (":9808", None),
        ("host:0", None),
        ("host:65536", None),
        ("http://host:9808", None),
        ("host:9808/metrics", None),
        ("host:9808\n", None),
    ],
)
def test_an_address_to_listen_at_is_a_host_and_a_port(
    text: str, meant: tuple[str, int] | None
) -> None:
    assert split_listen(text) == meant


def test_what_is_no_address_to_listen_at_is_told_with_what_would_be(tmp_path: Path) -> None:
    for wrong in ("9808", ":9808", "http://host:9808"):
        _, problems = examined(tmp_path, {"listen": wrong})
        assert len(problems) == 1
        assert "metrics.listen: must be HOST:PORT, such as 127.0.0.1:9808" in problems[0]


def test_the_token_of_the_environment_goes_before_the_files(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    by_name = {"SITEFERRY_METRICS_TOKEN": TOKEN}
    by_file = {"SITEFERRY_METRICS_TOKEN_FILE": str(tmp_path / "token")}
    for environ in (by_name, by_file):
        for other in ({"token": "another-one"}, {"token": "${credential:metrics/TOKEN}"}, {}):
            settings, problems = examined(tmp_path, other, environ)
            assert (token_of(settings), problems) == (TOKEN, [])
            assert settings is not None
            assert settings.metrics.token_reference is None


def test_the_token_may_stand_in_a_file_or_be_referred_to(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    settings, _ = examined(tmp_path, {"token_file": "token"})
    assert token_of(settings) == TOKEN
    settings, _ = examined(tmp_path, {"token": "${credential:vault:metrics/TOKEN}"})
    assert settings is not None
    assert settings.metrics.token is None
    assert str(settings.metrics.token_reference) == "${credential:vault:metrics/TOKEN}"
    assert settings.redis.password_reference is None


@pytest.mark.parametrize(
    ("metrics", "environ", "told"),
    [
        ({"token": TOKEN, "token_file": "x"}, {}, "metrics.token_file: stands beside `token`"),
        ({"token": "${credential:metrics}"}, {}, "metrics.token: must be ${credential:SITE/KEY}"),
        ({"listen": "${credential:metrics/TOKEN}"}, {}, "takes no credential reference"),
        (
            {},
            {"SITEFERRY_METRICS_TOKEN": TOKEN, "SITEFERRY_METRICS_TOKEN_FILE": "x"},
            "SITEFERRY_METRICS_TOKEN: is set beside its _FILE variant",
        ),
    ],
)
def test_what_is_wrong_with_the_token_is_told_by_its_place_and_without_it(
    tmp_path: Path, metrics: Mapping[str, object], environ: Mapping[str, str], told: str
) -> None:
    _, problems = examined(tmp_path, metrics, environ)
    assert any(told in problem for problem in problems), problems
    assert not any(TOKEN in problem for problem in problems)


@pytest.mark.parametrize(
    ("metrics", "environ", "told"),
    [
        ({"token_file": "/absent"}, {}, "there is no file /absent, which is to hold metrics.token"),
        ({}, {"SITEFERRY_METRICS_TOKEN_FILE": "/absent"}, "there is no file /absent"),
        ({"token": "${NOBODY_SETS_IT}"}, {}, "variable NOBODY_SETS_IT is not set"),
    ],
)
def test_a_token_that_is_not_to_be_had_is_missed_only_by_who_asks_for_it(
    tmp_path: Path, metrics: Mapping[str, object], environ: Mapping[str, str], told: str
) -> None:
    settings, problems = examined(tmp_path, metrics, environ)
    assert problems == []
    with pytest.raises(SiteferryError, match=re.escape(told)):
        token_of(settings)


def test_flowers_password_from_a_variable_is_missed_only_by_flower(tmp_path: Path) -> None:
    file = tmp_path / "siteferry.yaml"
    text = b"flower: {password: '${NOBODY_SETS_IT}'}"
    settings, problems = settings_of(parse_document(text, file.name), file, {})
    assert settings is not None
    assert problems == []
    with pytest.raises(ConfigurationError, match=r"flower.password: .* NOBODY_SETS_IT is not set"):
        resolve_flower_password(Stores(settings))


def test_the_token_is_in_no_print_of_the_settings(tmp_path: Path) -> None:
    settings, _ = examined(tmp_path, {"token": TOKEN})
    assert settings is not None
    assert TOKEN not in repr(settings) + str(settings.model_dump()) + settings.model_dump_json()
