"""Where the key of the encrypted store is from. Changing it: test_credential_file_rotation."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from siteferry.credentials import CredentialBackend, keyring
from siteferry.credentials.keyring import MAKE_A_KEY
from siteferry.errors import (
    CredentialDenied,
    CredentialMalformed,
    CredentialUnreachable,
)
from tests.shown_errors import everything_shown
from tests.stores.files import (
    KEY_VARIABLES,
    MARKED,
    FileStand,
    fill,
    is_filled,
    keys_of,
    new_key,
    private,
)

KEY, KEY_FILE, PASSPHRASE, PASSPHRASE_FILE = KEY_VARIABLES


@pytest.fixture
def stand(open_folder: Path, monkeypatch: pytest.MonkeyPatch) -> FileStand:
    return FileStand(open_folder, monkeypatch)


@pytest.fixture
def store(stand: FileStand) -> CredentialBackend:
    return stand.open()


# Where they are from


def test_the_key_of_the_settings_is_used_and_never_replaced(
    stand: FileStand, store: CredentialBackend
) -> None:
    stand.key_file.parent.mkdir(0o700)
    private(stand.key_file, f"{new_key()}\n\n{new_key()}\r\n".encode())
    before = stand.key_file.read_bytes()
    fill(store)
    assert is_filled(store)
    assert stand.key_file.read_bytes() == before
    assert stand.read()["shop/FTP_PASSWORD"] == MARKED  # with the first of them


@pytest.mark.parametrize("variable", KEY_VARIABLES)
def test_a_variable_goes_before_the_key_file_and_none_is_made(
    stand: FileStand, store: CredentialBackend, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """A file that it names may be as open as container platforms mount it."""
    value = new_key()
    if variable.endswith("_FILE"):
        file = stand.folder / "mounted"
        file.write_text(f"{value}\n")
        file.chmod(0o444)
        value = str(file)
    monkeypatch.setenv(variable, value)
    fill(store)
    assert is_filled(store)
    assert not stand.key_file.exists()
    monkeypatch.delenv(variable)
    with pytest.raises(CredentialDenied):
        is_filled(store)


@pytest.mark.parametrize("first", KEY_VARIABLES)
@pytest.mark.parametrize("second", KEY_VARIABLES)
def test_two_variables_are_malformed_whatever_they_hold(
    stand: FileStand,
    store: CredentialBackend,
    monkeypatch: pytest.MonkeyPatch,
    first: str,
    second: str,
) -> None:
    if first == second:
        return
    fill(store)
    monkeypatch.setenv(first, MARKED)
    monkeypatch.setenv(second, MARKED)
    uses: list[Callable[[], object]] = [lambda: is_filled(store), lambda: fill(store), store.probe]
    for use in uses:
        with pytest.raises(CredentialMalformed, match="are set, and only one may be") as refused:
            use()
        assert first in refused.value.message
        assert second in refused.value.message
        assert MARKED not in everything_shown(refused.value)


def test_an_empty_variable_is_unset(
    stand: FileStand, store: CredentialBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a compose file leaves it with `${SITEFERRY_CREDENTIAL_KEY:-}`."""
    for variable in KEY_VARIABLES:
        monkeypatch.setenv(variable, "")
    fill(store)
    assert is_filled(store)
    assert len(keys_of(stand)) == 1


def test_a_missing_key_is_denied_and_no_other_is_made(
    stand: FileStand, store: CredentialBackend
) -> None:
    fill(store)
    key = stand.key_file.read_bytes()
    stand.key_file.unlink()
    uses: list[Callable[[], object]] = [lambda: is_filled(store), lambda: fill(store), store.probe]
    for use in uses:
        with pytest.raises(CredentialDenied, match="Put it back from a backup") as refused:
            use()
        assert str(stand.key_file) in refused.value.message
    assert not stand.key_file.exists()
    private(stand.key_file, key)
    assert is_filled(store)


def test_a_wrong_key_is_denied_and_nothing_is_overwritten(
    stand: FileStand, store: CredentialBackend
) -> None:
    fill(store)
    content = stand.path.read_bytes()
    stand.key_file.write_text(new_key())
    uses: list[Callable[[], object]] = [lambda: is_filled(store), lambda: fill(store), store.probe]
    for use in uses:
        with pytest.raises(CredentialDenied, match="encrypted with another key than") as refused:
            use()
        assert refused.value.next_step
    assert stand.path.read_bytes() == content


@pytest.mark.parametrize("text", ["", "\n", MARKED, "x" * 44, f"{MARKED}é", "A" * 43 + "=\nA"])
def test_a_key_that_is_none_is_malformed_and_not_shown(
    stand: FileStand, store: CredentialBackend, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    fill(store)
    stand.key_file.write_text(text)
    with pytest.raises(CredentialMalformed, match=r"no Fernet key|holds no key") as refused:
        is_filled(store)
    assert str(stand.key_file) in refused.value.message
    if text.strip():
        monkeypatch.setenv(KEY, text)
        with pytest.raises(CredentialMalformed, match=KEY):
            is_filled(store)
        assert text.split()[-1] not in str(refused.value)
    assert MARKED not in everything_shown(refused.value)


def test_the_command_for_a_key_makes_one(
    store: CredentialBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = MAKE_A_KEY.partition(": ")[2]
    made = subprocess.run(["sh", "-c", command], check=True, capture_output=True, text=True)
    monkeypatch.setenv(KEY, made.stdout)
    fill(store)
    assert is_filled(store)


@pytest.mark.parametrize("variable", [KEY_FILE, PASSPHRASE_FILE])
def test_a_variable_that_names_no_file_is_told(
    stand: FileStand, store: CredentialBackend, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, f"/nowhere/{MARKED}")
    with pytest.raises(CredentialMalformed, match=f"{variable} names no file") as refused:
        fill(store)
    assert MARKED not in everything_shown(refused.value)
    loop = stand.folder / "loop"
    loop.symlink_to(loop)
    monkeypatch.setenv(variable, str(loop))
    with pytest.raises(CredentialUnreachable, match=variable):
        fill(store)


# Passphrases


def test_a_passphrase_is_stretched_once_for_each_process_and_salt(
    stand: FileStand, store: CredentialBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PASSPHRASE, f"correct horse {stand.folder}")
    made: list[dict[str, Any]] = []

    def counted(**numbers: Any) -> Any:
        made.append(numbers)
        return Scrypt(**numbers)

    monkeypatch.setattr(keyring, "Scrypt", counted)
    fill(store)
    assert is_filled(stand.open())
    assert len(made) == 1
    noted = json.loads(stand.path.read_bytes())["stretching"]
    assert (noted["n"], noted["r"], noted["p"]) == (2**16, 8, 2)
    assert (made[0]["n"], made[0]["r"], made[0]["p"]) == (2**16, 8, 2)
    assert len(made[0]["salt"]) == 16


@pytest.mark.parametrize("variable", [KEY, PASSPHRASE])
def test_a_variable_that_is_no_text_is_malformed_and_not_shown(
    store: CredentialBackend, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, os.fsdecode(MARKED.encode() + b"\xff"))
    with pytest.raises(CredentialMalformed, match="is not UTF-8 text") as refused:
        fill(store)
    assert MARKED not in everything_shown(refused.value)
    assert refused.value.__context__ is None


def test_a_wrong_passphrase_is_denied(
    store: CredentialBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PASSPHRASE, "right")
    fill(store)
    monkeypatch.setenv(PASSPHRASE, MARKED)
    with pytest.raises(CredentialDenied, match=f"another key than {PASSPHRASE} gives") as refused:
        is_filled(store)
    assert MARKED not in everything_shown(refused.value)


def test_a_key_for_a_passphrase_and_the_reverse_are_denied_and_told(
    store: CredentialBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PASSPHRASE, "right")
    fill(store)
    monkeypatch.delenv(PASSPHRASE)
    with pytest.raises(CredentialDenied, match=r"with a passphrase, and .* is a key"):
        is_filled(store)
    monkeypatch.setenv(KEY, new_key())
    with pytest.raises(CredentialDenied, match=f"with a passphrase, and {KEY} is a key"):
        is_filled(store)


def test_a_passphrase_for_a_key_is_denied_and_told(
    store: CredentialBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store)
    monkeypatch.setenv(PASSPHRASE, "right")
    with pytest.raises(CredentialDenied, match=f"with a key, and {PASSPHRASE} is set"):
        is_filled(store)
