"""What is said when the settings file is wrong: file, line, key, and never a value."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siteferry.errors import ConfigurationError
from siteferry.settings import (
    load_settings,
)
from siteferry.settings.document import parse_document
from tests.refusal import MARKED, refusal


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, text: str, name: str = "config/siteferry.yaml") -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def refused(folder: Path, text: str, environ: dict[str, str] | None = None) -> str:
    """Load `text`, which must be refused; gives the message."""
    write(folder, text)
    return refusal(lambda: load_settings(None, environ or {}))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\nbatch: {file: 3}", "2: batch.file: is not a known key; did you mean files?"),
        ("radis: {}", "1: radis: is not a known key; did you mean redis?"),
        ("log:\n  hue: x", "2: log.hue: is not a known key; known here: format, level"),
        ("batch:\n  files: 0", "2: batch.files: must be 1 or more"),
        ("batch:\n  files: 1.5", "2: batch.files: must be a whole number"),
        (f"batch:\n  files: {MARKED}", "2: batch.files: must be a whole number"),
        (f"batch:\n  bytes: {MARKED}", "2: batch.bytes: must be a number of bytes, such as 2MiB"),
        ("batch:\n  bytes: 0", "2: batch.bytes: must be at least one byte"),
        (f"log:\n\n  format: {MARKED}", "3: log.format: must be 'text' or 'json'"),
        (f"paths: {MARKED}", "1: paths: must be a mapping"),
        (f"redis: {MARKED}", "1: redis: must be a mapping"),
        (f"redis:\n  url: {MARKED}", "2: redis.url: must be redis://HOST"),
        ("redis:\n  password: 123456", "2: redis.password: must be text: put it in quotes"),
        ("redis:\n  username: 12", "2: redis.username: must be text: put it in quotes"),
        (f"address_limits:\n  h: {MARKED}", "2: address_limits.h: must be a whole number"),
        (f"worker:\n  idle_seconds: {MARKED}", "2: worker.idle_seconds: must be a number"),
        ("worker:\n  idle_seconds: .inf", "2: worker.idle_seconds: must be "),
        ("log:\n  level: ${credential:a/B}", "2: log.level: takes no credential reference"),
        ("defaults:\n  ftp:\n    password: x", "3: defaults.ftp.password: a login belongs in"),
        ("defaults:\n  hostinger: {}", "2: defaults.hostinger: is called `ftp` here"),
        (f"- {MARKED}", " must be a mapping"),
        (f"{MARKED}", " must be a mapping"),
        (f"{{redis:{MARKED}: }}", "1: (a key): is not a known key"),
        (f"redis: {{password:{MARKED}: }}", "1: redis.(a key): is not a known key"),
        (f"redis: {{password: {{{MARKED}: 1}}}}", "1: redis.password: must be text"),
        (f"redis: {{password: {{{MARKED}: 1, {MARKED}: 1}}}}", "1: redis.password: stands here"),
    ],
)
def test_a_mistake_is_told_with_file_line_and_key(here: Path, text: str, message: str) -> None:
    assert f"config/siteferry.yaml:{message}" in refused(here, text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"redis:\n  password: *{MARKED}", "2: is not YAML: text that begins with * or &"),
        (f"redis:\n  password: '{MARKED}", "2: is not YAML: a quote or bracket"),
        (f"redis:\n  password: %{MARKED}", "2: is not YAML: text that begins with this"),
        (f"redis:\n  password: {MARKED}: x", "2: is not YAML: text with `: ` in it"),
        (f"redis:\n\tpassword: {MARKED}", "2: is not YAML: indent with spaces"),
        (f"redis: {{password: {MARKED}", "1: is not YAML: a comma or a closing bracket"),
        ('redis:\n  password: "\\q"', "2: is not YAML: in double quotes a backslash"),
        (f"redis:\n  password: !{MARKED} x", "2: redis.password: tags (`!…`) are not allowed"),
        (f"redis:\n  password: !x!{MARKED} x", "2: is not YAML: tags"),
        (f"redis:\n  x: !!python/object/apply:os.system ['{MARKED}']", "2: redis.x: tags (`!…`)"),
        (f"redis: !!python/dict {{password: {MARKED}}}", "1: redis: tags (`!…`)"),
        (f"batch:\n  files: !!int {MARKED}", "2: batch.files: is not the number"),
        ("log:\n  level: info\n  level: info", "3: log.level: stands here again; first in line 2"),
        (f"log:\n  ? [{MARKED}]\n  : x", "2: log.(a key): must be text"),
        (f"log:\n  <<: {MARKED}", "1: log: `<<` takes an alias"),
        ("log: &log {level: *log}", "1: log.level: contains itself"),
        ("log: {}\n---\nlog: {}", "2: is not YAML: one file describes one thing"),
        (f"log: \x01{MARKED}", "1: is not YAML: a control character"),
    ],
)
def test_what_is_not_plain_yaml_is_told_with_its_line(here: Path, text: str, message: str) -> None:
    assert f"config/siteferry.yaml:{message}" in refused(here, text)


def test_all_problems_are_told_together_in_the_order_of_the_file(here: Path) -> None:
    message = refused(
        here,
        "worker: {concurrency: x}\nlog: {level: y, form: z}\nbatch: {files: ${N}}".replace(
            "${N}", "'${N}'"
        ),
    )
    starts = [line.split(": ")[0:2] for line in message.splitlines()]
    assert starts == [
        ["config/siteferry.yaml:1", "worker.concurrency"],
        ["config/siteferry.yaml:2", "log.form"],
        ["config/siteferry.yaml:2", "log.level"],
        ["config/siteferry.yaml:3", "batch.files"],
    ]


def test_a_file_that_is_not_utf_8_is_told_with_its_line(here: Path) -> None:
    file = write(here, "")
    file.write_bytes(b"log:\n  level: \xff\n")
    with pytest.raises(ConfigurationError, match=r"siteferry\.yaml:2: is not UTF-8 text"):
        load_settings(None, {})


def test_a_file_that_cannot_be_read_is_an_error(here: Path) -> None:
    (here / "config/siteferry.yaml").mkdir(parents=True)
    with pytest.raises(ConfigurationError, match=r"siteferry\.yaml: cannot be read: Is a dir"):
        load_settings(None, {})


@pytest.mark.parametrize("explicit", [True, False])
def test_a_folder_that_this_user_may_not_enter_is_an_error_and_no_defaults_hold(
    open_folder: Path,
    as_ordinary_user: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    explicit: bool,
) -> None:
    file = open_folder / "config/siteferry.yaml"
    file.parent.mkdir()
    file.write_text("log: {level: info}\n")
    file.parent.chmod(0)

    def load() -> str:
        with pytest.raises(ConfigurationError) as told:
            load_settings(file if explicit else None, {})
        return str(told.value)

    monkeypatch.chdir(open_folder)
    try:
        message = as_ordinary_user(load)
    finally:
        file.parent.chmod(0o755)
    assert "config/siteferry.yaml cannot be looked at: Permission denied" in message
    assert "chmod -R go+rX" in message


def test_a_byte_order_mark_is_allowed(here: Path) -> None:
    write(here, "\ufeffbatch: {files: 5}")
    assert load_settings(None, {}).batch.files == 5


def test_aliases_and_merged_keys_work(here: Path) -> None:
    write(here, "batch: &b {files: 5, bytes: 1k}\nworker: {concurrency: &n 3}\n")
    assert load_settings(None, {}).batch.files == 5
    document = parse_document(b"a: &a {x: 1, y: 2}\nb:\n  <<: *a\n  y: 3\n", "f")
    assert document.data["b"] == {"x": 1, "y": 3}
    assert document.positions.line(("b", "x")) == 1
    assert document.positions.line(("b", "y")) == 4
    document = parse_document(b"a: &a {x: 1, y: 2}\nb:\n  y: 3\n  <<: [*a]\n", "f")
    assert document.data["b"] == {"x": 1, "y": 3}
    assert document.positions.line(("b", "y")) == 3


def test_an_alias_bomb_is_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for n in range(1, 9):
        lines.append(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]")
    document = parse_document("\n".join(lines).encode(), "f")
    assert any("too large" in message for _, message in document.faults)


def test_json_is_read_with_tabs_and_escapes_and_lines() -> None:
    text = '\ufeff\t{\n\t"a": "\\ud83d\\ude00 \\u00fc",\n\t"b": [1,\n\t\t2]\n}'
    document = parse_document(text.encode(), "f", strict_json=True)
    assert document.data == {"a": "😀 ü", "b": [1, 2]}
    assert document.positions.line(("b", 1)) == 4
    assert document.faults == ()


def test_a_json_file_must_be_json() -> None:
    document = parse_document(f'{{\n"a": {MARKED}}}'.encode(), "f", strict_json=True)
    assert document.faults == (((), "is not JSON: Expecting value"),)
    assert document.positions.line(()) == 2


@pytest.mark.parametrize("strict_json", [False, True])
def test_a_file_that_is_nested_without_end_is_refused(strict_json: bool) -> None:
    document = parse_document(b"[" * 100_000, "f", strict_json=strict_json)
    assert not document.readable
    document = parse_document(b"[" * 500 + b"]" * 500, "f", strict_json=strict_json)
    assert len(document.faults) == 1


ODD_YAML = st.lists(
    st.sampled_from([MARKED, ":", " ", "\n", "  ", "- ", "'", '"', "{", "}", "[", "]", "&", "*"])
    | st.sampled_from(["!", "|", ">", "%", "#", "<<", "? ", "\t", "\\", ",", "redis", "password"]),
    max_size=25,
).map("".join)


@given(ODD_YAML)
def test_whatever_the_file_no_message_quotes_it(text: str) -> None:
    """Also: whatever the file, reading it ends in faults and not in an exception."""
    document = parse_document(text.encode(), "f")
    assert all(MARKED not in message for _, message in document.faults)
