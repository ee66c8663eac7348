"""Credential stores, and how a website's login is found."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from siteferry.credentials import (
    Ability,
    CredentialBackend,
    Entry,
    EnvironmentBackend,
    Login,
    MemoryBackend,
    Stores,
    open_backend,
    resolve_login,
    resolve_redis_password,
    variable_name,
)
from siteferry.credentials.environment import entry_of
from siteferry.errors import (
    ConfigurationError,
    CredentialAbsent,
    CredentialDenied,
    CredentialError,
    CredentialMalformed,
    CredentialReadOnly,
    CredentialUnreachable,
)
from siteferry.secret import Secret
from siteferry.settings import Settings, load_settings
from siteferry.websites import Website, website_from_mapping
from tests.ordinary_user import as_ordinary_user
from tests.shown_errors import everything_shown

MARKED = "hunter2-S3cret"
PASSWORD = "SITEFERRY_CRED_SHOP_FTP_PASSWORD"
USERNAME = "SITEFERRY_CRED_SHOP_FTP_USERNAME"


def site(**ftp: str) -> Website:
    content = {"website": {"name": "shop"}, "ftp": {"host": "ftp.example.com", **ftp}}
    return website_from_mapping(content, "test", environ={})


def stores(selected: CredentialBackend | None = None, settings: Settings | None = None) -> Stores:
    """Stores of which `selected` is the one that the settings select."""
    settings = settings or Settings()
    if selected is None:
        return Stores(settings)
    selects = settings.credentials.model_copy(update={"backend": selected.name})

    def opened(name: str, told: Settings) -> CredentialBackend:
        return selected if name == selected.name else open_backend(name, told)

    return Stores(settings.model_copy(update={"credentials": selects}), opened)


# Names of variables

NAMES = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,8}", fullmatch=True) | st.sampled_from(
    ["FILE", "A_FILE", "_FILE", "A__FILE", "FILE_FILE", "a", "A", "a_b", "A_B", "__2D", "A_2D", "_"]
)


@pytest.mark.parametrize(
    ("site_name", "key", "variable"),
    [
        ("example", "FTP_PASSWORD", "SITEFERRY_CRED_EXAMPLE_FTP_PASSWORD"),
        ("my-site", "FTP_PASSWORD", "SITEFERRY_CRED_MY__2DSITE_FTP_PASSWORD"),
        ("example.com", "FTP_PASSWORD", "SITEFERRY_CRED_EXAMPLE__2ECOM_FTP_PASSWORD"),
        ("Shop", "KEY", "SITEFERRY_CRED___53HOP_KEY"),
        ("a_b", "KEY", "SITEFERRY_CRED_A__5FB_KEY"),
        ("a", "b", "SITEFERRY_CRED_A___62"),
        ("a", "KEY_FILE", "SITEFERRY_CRED_A_KEY__5FFILE"),
        ("a", "FILE", "SITEFERRY_CRED_A_FILE"),
        ("a", "A__B", "SITEFERRY_CRED_A_A__5F__5FB"),
        ("a", "_A_", "SITEFERRY_CRED_A___5FA__5F"),
    ],
)
def test_an_entry_has_one_variable(site_name: str, key: str, variable: str) -> None:
    assert variable_name(site_name, key) == variable
    assert entry_of(variable) == Entry(site_name, key)
    assert entry_of(f"{variable}_FILE") == Entry(site_name, key)


@given(NAMES, NAMES, NAMES, NAMES)
@example("a", "X", "a", "X_FILE")
@example("a", "FILE", "a_file", "X")
@example("a", "_2DX", "a-x", "X")
@example("a-", "X", "a", "_2D_X")
def test_two_entries_never_share_a_variable(one: str, key: str, other: str, key2: str) -> None:
    """Neither the plain one nor the one with `_FILE`, in any combination."""
    if (one, key) == (other, key2):
        return
    first, second = variable_name(one, key), variable_name(other, key2)
    assert len({first, f"{first}_FILE", second, f"{second}_FILE"}) == 4


@pytest.mark.parametrize("variable", ["SITEFERRY_CRED___2EA_X", "SITEFERRY_CRED_A___00", "HOME"])
def test_a_variable_whose_names_could_be_none_is_nobody_s(variable: str) -> None:
    assert entry_of(variable) is None


@given(NAMES, NAMES)
def test_a_variable_is_a_name_for_every_shell_and_leads_back(name: str, key: str) -> None:
    variable = variable_name(name, key)
    assert re.fullmatch(r"SITEFERRY_CRED_[A-Z0-9_]+", variable)
    assert entry_of(variable) == entry_of(f"{variable}_FILE") == Entry(name, key)


@given(st.from_regex(r"SITEFERRY_CRED_[A-Z0-9_]{0,12}", fullmatch=True))
def test_a_variable_that_no_entry_has_is_nobody_s(variable: str) -> None:
    entry = entry_of(variable)
    if entry is not None:
        name = variable_name(entry.site, entry.key)
        assert variable in (name, f"{name}_FILE")


@pytest.mark.parametrize("name", ["", "a/b", "-a", ".a", "a b", "ä", "a\n", "a" * 129])
def test_names_that_are_none_are_refused_by_every_store(name: str) -> None:
    for backend in (EnvironmentBackend({}), MemoryBackend()):
        for entry in ((name, "KEY"), ("site", name)):
            with pytest.raises(CredentialMalformed, match="cannot be the"):
                backend.get(*entry)
            with pytest.raises(CredentialMalformed, match="cannot be the"):
                backend.store(*entry, Secret("value"))


# The environment


def test_a_value_comes_from_its_variable() -> None:
    assert EnvironmentBackend({PASSWORD: MARKED}).get("shop", "FTP_PASSWORD") == Secret(MARKED)


def test_the_process_environment_is_read_at_each_request(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = EnvironmentBackend()
    monkeypatch.setenv(PASSWORD, "one")
    assert backend.get("shop", "FTP_PASSWORD") == Secret("one")
    monkeypatch.setenv(PASSWORD, "two")
    assert backend.get("shop", "FTP_PASSWORD") == Secret("two")


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_value_comes_from_the_file_that_a_variable_names(tmp_path: Path, end: str) -> None:
    file = tmp_path / "password"
    file.write_bytes(f" {MARKED} {end}".encode())
    backend = EnvironmentBackend({f"{PASSWORD}_FILE": str(file)})
    assert backend.get("shop", "FTP_PASSWORD") == Secret(f" {MARKED} ")


def test_an_absent_entry_is_told_with_its_variable() -> None:
    with pytest.raises(CredentialAbsent) as caught:
        EnvironmentBackend({}).get("shop", "FTP_PASSWORD")
    assert "shop/FTP_PASSWORD" in str(caught.value)
    assert f"Set {PASSWORD}, or {PASSWORD}_FILE" in str(caught.value)


@pytest.mark.parametrize("value", ["", f"{MARKED}\n", f"{MARKED}\rx", f"{MARKED}\0", MARKED * 400])
def test_a_value_that_no_login_can_carry_is_malformed(value: str) -> None:
    with pytest.raises(CredentialMalformed) as caught:
        EnvironmentBackend({PASSWORD: value}).get("shop", "FTP_PASSWORD")
    assert MARKED not in everything_shown(caught.value)
    with pytest.raises(CredentialMalformed) as caught:
        MemoryBackend().store("shop", "FTP_PASSWORD", Secret(value))
    assert MARKED not in everything_shown(caught.value)


def test_a_variable_beside_its_file_variant_is_malformed() -> None:
    with pytest.raises(CredentialMalformed, match=f"both {PASSWORD} and {PASSWORD}_FILE"):
        EnvironmentBackend({PASSWORD: "a", f"{PASSWORD}_FILE": "b"}).get("shop", "FTP_PASSWORD")


@pytest.mark.parametrize("path", [f"/nowhere/{MARKED}", MARKED, f"{MARKED}\0", MARKED * 300, "/"])
def test_a_password_in_place_of_a_path_is_not_printed(path: str) -> None:
    with pytest.raises(CredentialMalformed, match="names no file") as caught:
        EnvironmentBackend({f"{PASSWORD}_FILE": path}).get("shop", "FTP_PASSWORD")
    assert MARKED not in everything_shown(caught.value)
    assert caught.value.__context__ is None


def test_a_file_that_is_not_text_is_malformed(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_bytes(MARKED.encode() + b"\xff")
    with pytest.raises(CredentialMalformed, match="is not UTF-8 text") as caught:
        EnvironmentBackend({f"{PASSWORD}_FILE": str(file)}).get("shop", "FTP_PASSWORD")
    assert caught.value.__context__ is None


def test_a_file_that_cannot_be_read_now_is_unreachable(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(CredentialUnreachable):
        EnvironmentBackend({f"{PASSWORD}_FILE": str(loop)}).get("shop", "FTP_PASSWORD")


def test_a_file_that_may_not_be_read_is_denied() -> None:
    # Not below tmp_path, which is its owner's alone: the file itself has to be what is closed.
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        file = Path(name, "password")
        file.write_text(MARKED)
        file.chmod(0o000)
        backend = EnvironmentBackend({f"{PASSWORD}_FILE": str(file)})
        with pytest.raises(CredentialDenied, match=f"file that {PASSWORD}_FILE names may not be"):
            as_ordinary_user(backend.get, "shop", "FTP_PASSWORD")


def test_the_environment_lists_names_and_no_values(tmp_path: Path) -> None:
    backend = EnvironmentBackend(
        {
            PASSWORD: MARKED,
            USERNAME: "u1",
            "SITEFERRY_CRED_MY__2DSITE_KEY_FILE": str(tmp_path),
            "SITEFERRY_CRED_": "x",
            "SITEFERRY_CRED_lower_KEY": "x",
            "SITEFERRY_CRED_A__2d_KEY": "x",
            "PATH": "/bin",
        }
    )
    assert [str(entry) for entry in backend.list()] == [
        "my-site/KEY",
        "shop/FTP_PASSWORD",
        "shop/FTP_USERNAME",
    ]
    assert backend.list("my-site") == (Entry("my-site", "KEY"),)
    assert MARKED not in repr(backend)
    backend.probe()


def test_the_environment_cannot_be_written_and_says_where_it_can() -> None:
    backend = EnvironmentBackend({PASSWORD: "x"})
    attempts: list[Callable[[], None]] = [
        lambda: backend.store("shop", "KEY", Secret(MARKED)),
        lambda: backend.delete("shop", "FTP_PASSWORD"),
    ]
    for attempt in attempts:
        with pytest.raises(CredentialReadOnly, match="SITEFERRY_CRED_<SITE>_<KEY>") as caught:
            attempt()
        assert MARKED not in everything_shown(caught.value)


# Memory, and what every store has from its base


def test_memory_stores_lists_and_deletes() -> None:
    backend = MemoryBackend({("b", "K"): Secret("1")})
    backend.store("a", "K", Secret("2"))
    backend.store("a", "K", Secret("3"))
    assert backend.get("a", "K") == Secret("3")
    assert [str(entry) for entry in backend.list()] == ["a/K", "b/K"]
    backend.delete("b", "K")
    with pytest.raises(CredentialAbsent, match="b/K"):
        backend.get("b", "K")
    with pytest.raises(CredentialAbsent, match="b/K"):
        backend.delete("b", "K")
    backend.probe()


class ReadOnly(CredentialBackend):
    """A store that can do nothing but give, and raises what it is told to."""

    name = "read-only"

    def __init__(self, error: CredentialError) -> None:
        self.error = error

    def probe(self) -> None:
        raise self.error

    def _get(self, entry: Entry) -> Secret:
        raise self.error


def test_what_a_store_cannot_do_it_refuses_by_name() -> None:
    backend = ReadOnly(CredentialAbsent("x"))
    assert backend.abilities == frozenset()
    attempts: dict[Ability, Callable[[], object]] = {
        Ability.STORE: lambda: backend.store("a", "K", Secret("x")),
        Ability.DELETE: lambda: backend.delete("a", "K"),
        Ability.LIST: backend.list,
    }
    for ability, attempt in attempts.items():
        kind = CredentialDenied if ability is Ability.LIST else CredentialReadOnly
        with pytest.raises(kind, match=f"read-only cannot {ability} entries"):
            attempt()


def test_a_store_is_opened_by_its_name() -> None:
    assert open_backend("environment", Settings()).name == "environment"
    assert open_backend("memory", Settings()).name == "memory"
    with pytest.raises(ConfigurationError, match=r"environment, .*memory"):
        open_backend("vualt", Settings())


# Logins


def test_without_a_login_in_the_file_the_store_is_asked() -> None:
    backend = EnvironmentBackend({USERNAME: "u1", PASSWORD: MARKED})
    assert resolve_login(site(), stores(backend)) == Login("u1", Secret(MARKED))


def test_without_a_login_anywhere_the_missing_entry_is_told() -> None:
    with pytest.raises(CredentialAbsent, match=USERNAME):
        resolve_login(site(), stores(EnvironmentBackend({})))
    with pytest.raises(CredentialAbsent, match=PASSWORD):
        resolve_login(site(username="u1"), stores(EnvironmentBackend({})))


def test_a_plain_login_holds_where_the_store_has_none() -> None:
    login = resolve_login(site(username="u1", password=MARKED), stores(EnvironmentBackend({})))
    assert login == Login("u1", Secret(MARKED))


def test_the_store_goes_before_a_plain_login() -> None:
    backend = EnvironmentBackend({PASSWORD: "newer"})
    login = resolve_login(site(username="u1", password="older"), stores(backend))
    assert login == Login("u1", Secret("newer"))


@pytest.mark.parametrize("kind", [CredentialDenied, CredentialUnreachable, CredentialMalformed])
def test_only_an_absent_entry_leads_to_the_plain_login(kind: type[CredentialError]) -> None:
    with pytest.raises(kind, match="no way"):
        resolve_login(site(username="u1", password="p"), stores(ReadOnly(kind("no way"))))


def test_an_absent_entry_of_a_reference_leads_nowhere_else() -> None:
    website = site(username="u1", password="${credential:other/KEY}")
    with pytest.raises(CredentialAbsent, match="SITEFERRY_CRED_OTHER_KEY"):
        resolve_login(website, stores(EnvironmentBackend({PASSWORD: "not this one"})))


def test_a_reference_may_name_another_site_and_key() -> None:
    website = site(username="u1", password="${credential:other/KEY}")
    backend = EnvironmentBackend({"SITEFERRY_CRED_OTHER_KEY": MARKED, PASSWORD: "not this one"})
    assert resolve_login(website, stores(backend)).password == Secret(MARKED)


def test_a_reference_is_asked_of_the_store_that_it_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SITEFERRY_CRED_SHOP_KEY", MARKED)
    website = site(username="u1", password="${credential:environment:shop/KEY}")
    selected = MemoryBackend({("shop", "KEY"): Secret("not this one")})
    assert resolve_login(website, stores(selected)).password == Secret(MARKED)


def test_a_reference_to_a_store_that_is_none_is_an_error() -> None:
    website = site(username="u1", password="${credential:vualt:shop/KEY}")
    with pytest.raises(ConfigurationError, match="credential backend"):
        resolve_login(website, stores(MemoryBackend()))


def test_the_settings_select_the_store() -> None:
    settings = Settings.model_validate({"credentials": {"backend": "memory"}})
    with pytest.raises(CredentialAbsent, match="the memory store"):
        resolve_login(site(), stores(settings=settings))


def test_variables_are_taken_from_the_worker_s_environment() -> None:
    website = site(username="${U:-u1}", password="${P}x")
    backend = EnvironmentBackend({PASSWORD: "not this one"})
    login = resolve_login(website, stores(backend), {"P": MARKED})
    assert login == Login("u1", Secret(f"{MARKED}x"))


def test_a_variable_that_the_worker_lacks_is_named() -> None:
    with pytest.raises(CredentialAbsent, match=r"ftp\.password of website shop needs .* MY_PW,"):
        resolve_login(site(username="u", password="${MY_PW}"), stores(), environ={})


@pytest.mark.parametrize("value", [f"{MARKED}\r\nDELE x", f"{MARKED}\0", ""])
def test_a_variable_cannot_smuggle_a_command_into_the_login(value: str) -> None:
    for ftp in ({"username": "${V}", "password": "p"}, {"username": "u", "password": "${V}"}):
        with pytest.raises(CredentialMalformed) as caught:
            resolve_login(site(**ftp), stores(EnvironmentBackend({})), {"V": value})
        assert MARKED not in everything_shown(caught.value)


def test_a_login_prints_no_password() -> None:
    login = Login("u1", Secret(MARKED))
    assert MARKED not in repr(login)
    assert MARKED not in str(login)


def test_the_redis_password_may_be_in_the_store(tmp_path: Path) -> None:
    file = tmp_path / "siteferry.yaml"
    file.write_text("redis:\n  password: ${credential:redis/PASSWORD}\n")
    settings = load_settings(file, {})
    backend = EnvironmentBackend({"SITEFERRY_CRED_REDIS_PASSWORD": MARKED})
    assert resolve_redis_password(stores(backend, settings)) == Secret(MARKED)
    with pytest.raises(CredentialAbsent, match="SITEFERRY_CRED_REDIS_PASSWORD"):
        resolve_redis_password(stores(EnvironmentBackend({}), settings))


def test_a_redis_password_that_the_settings_hold_needs_no_store() -> None:
    settings = load_settings(None, {"SITEFERRY_REDIS_PASSWORD": MARKED})
    assert resolve_redis_password(stores(MemoryBackend(), settings)) == Secret(MARKED)
    assert resolve_redis_password(stores()) is None
