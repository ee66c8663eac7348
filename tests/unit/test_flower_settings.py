"""The part `flower` of the settings, and where its password comes from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from siteferry.credentials.cache import Stores
from siteferry.credentials.resolve import resolve_flower_password
from siteferry.errors import ConfigurationError, CredentialMalformed
from siteferry.secret import MASK, Secret
from siteferry.settings import Settings
from siteferry.settings.document import Document, Positions
from siteferry.settings.flower import FlowerSettings
from siteferry.settings.loading import settings_of

DOCUMENT = Path(__file__).resolve().parents[2] / "docs/flower.md"
VARIABLE = "SITEFERRY_FLOWER_PASSWORD"


def load(flower: dict[str, Any], **environment: str) -> Settings:
    document = Document(Positions("siteferry.yaml"), {"flower": flower})
    settings, problems = settings_of(document, Path("config/siteferry.yaml"), environment)
    assert settings is not None, problems
    return settings


def password(settings: Settings) -> Secret:
    return resolve_flower_password(Stores(settings))


def test_by_default_it_is_read_only_on_loopback_and_has_no_password() -> None:
    flower = load({}).flower
    assert (flower.address, flower.port, flower.read_only) == ("127.0.0.1", 5555, True)
    with pytest.raises(ConfigurationError, match="no password"):
        password(load({}))


def test_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    (tmp_path / "word").write_text("of the file\n")
    file = str(tmp_path / "word")
    assert password(load({"password": "written"})) == Secret("written")
    assert password(load({"password": "${WORD}"}, WORD="of a variable")) == Secret("of a variable")
    assert password(load({"password_file": file})) == Secret("of the file")
    assert password(load({"password": "written"}, **{f"{VARIABLE}_FILE": file})) == Secret(
        "of the file"
    )
    assert password(load({"password_file": file}, **{VARIABLE: "first"})) == Secret("first")
    reference = {"password": "${credential:memory:flower/PASSWORD}"}
    assert password(load(reference, **{VARIABLE: "first"})) == Secret("first")


def test_a_reference_is_kept_and_asks_the_store_only_for_flower() -> None:
    flower = load({"password": "${credential:memory:flower/PASSWORD}"}).flower
    assert str(flower.password_reference) == "${credential:memory:flower/PASSWORD}"
    assert flower.password is None


def test_a_password_of_several_lines_is_refused(tmp_path: Path) -> None:
    (tmp_path / "word").write_text("one\ntwo\n")
    with pytest.raises(CredentialMalformed, match="line break") as refused:
        password(load({"password_file": str(tmp_path / "word")}))
    assert "one" not in str(refused.value).replace("anew", "")


def test_the_settings_show_no_password() -> None:
    settings = load({"password": "Word-4711"})
    assert "Word-4711" not in repr(settings) + settings.model_dump_json()
    assert MASK in settings.model_dump_json()


@pytest.mark.parametrize(
    ("written", "kept"), [("", ""), ("/", ""), ("/tools/flower/", "tools/flower"), ("f", "f")]
)
def test_a_prefix_may_be_written_with_slashes_around_it(written: str, kept: str) -> None:
    assert load({"url_prefix": written}).flower.url_prefix == kept


@pytest.mark.parametrize("prefix", ["a b", "a//b", "a?b", "(.*)", "a/../b/%2e", "ž"])
def test_a_prefix_that_is_no_plain_path_is_refused(prefix: str) -> None:
    document = Document(Positions("siteferry.yaml"), {"flower": {"url_prefix": prefix}})
    settings, problems = settings_of(document, Path("config/siteferry.yaml"), {})
    assert settings is None
    assert "plain path" in str(problems) or "must be a path" in str(problems)


def test_the_document_tells_all_settings_with_their_defaults() -> None:
    table = DOCUMENT.read_text().partition("## Settings")[2].partition("## ")[0]
    told: dict[str, str] = {}
    for row in (line.split("|")[1:3] for line in table.splitlines() if line.startswith("| `")):
        keys, defaults = (re.findall(r"`(.*?)`", cell) for cell in row)
        told |= dict(zip(keys, defaults or [""] * len(keys), strict=True))
    assert told.keys() == FlowerSettings.model_fields.keys()
    defaults = load({}).flower.model_dump(mode="json")
    assert told.pop("purge_offline_workers") == f"{defaults.pop('purge_offline_workers') // 60}m"
    assert told == {
        key: "" if value in (None, "") else str(value).replace("True", "true")
        for key, value in defaults.items()
    }
