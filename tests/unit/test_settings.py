"""Settings: where they come from, what they mean, and what is said when they are wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from siteferry.errors import ConfigurationError
from siteferry.secret import Secret
from siteferry.settings import (
    RedisSettings,
    Settings,
    load_settings,
    override_redis_url,
    refuse_password_in_url,
)
from siteferry.settings.expansion import EnvironmentText, NotExpandable, expand
from siteferry.settings.redis_url import split_redis_url
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


# Where settings come from


def test_without_a_file_the_defaults_hold(here: Path) -> None:
    settings = load_settings(None, {"HOME": "/home/someone"})
    assert settings.paths.workspaces == here / "workspaces"
    assert settings.paths.websites == here / "config" / "websites"
    assert settings.redis.url is None
    assert settings.redis.key_prefix == "siteferry:"
    assert settings.redis.verify
    assert (settings.redis.keep_runs, settings.redis.patience_seconds) == (30 * 86400, 10)
    assert settings.credentials.backend == "file"
    assert (settings.batch.files, settings.batch.bytes) == (64, 8 * 1024 * 1024)
    assert (settings.worker.concurrency, settings.worker.idle_seconds) == (8, 3.0)
    assert (settings.log.level, settings.log.format) == ("info", "text")
    assert settings.state_dir == Path("/home/someone/.local/state/siteferry")
    assert settings.file is None


def test_the_state_lies_where_xdg_says(here: Path) -> None:
    settings = load_settings(None, {"XDG_STATE_HOME": "/var/state"})
    assert settings.state_dir == Path("/var/state/siteferry")


def test_a_relative_xdg_state_home_is_ignored_as_its_specification_asks(here: Path) -> None:
    settings = load_settings(None, {"XDG_STATE_HOME": "state", "HOME": "/h"})
    assert settings.state_dir == Path("/h/.local/state/siteferry")


def test_a_file_that_was_named_must_exist(here: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no configuration file elsewhere\.yaml"):
        load_settings(Path("elsewhere.yaml"), {})
    with pytest.raises(ConfigurationError, match=r"no configuration file gone\.yaml"):
        load_settings(None, {"SITEFERRY_CONFIG": "gone.yaml"})


def test_the_argument_goes_before_the_environment_and_that_before_the_default(here: Path) -> None:
    write(here, "batch: {files: 1}")
    write(here, "batch: {files: 2}", "two.yaml")
    write(here, "batch: {files: 3}", "three.yaml")
    environ = {"SITEFERRY_CONFIG": "two.yaml"}
    assert load_settings(None, {}).batch.files == 1
    assert load_settings(None, environ).batch.files == 2
    assert load_settings(Path("three.yaml"), environ).batch.files == 3


def test_relative_paths_start_above_a_folder_called_config(here: Path) -> None:
    file = write(
        here, "paths: {workspaces: sites}\nstate_dir: state\n", "srv/config/siteferry.yaml"
    )
    settings = load_settings(file, {})
    assert settings.paths.workspaces == here / "srv/sites"
    assert settings.paths.websites == here / "srv/config/websites"
    assert settings.state_dir == here / "srv/state"
    assert settings.base == here / "srv"
    assert settings.file == file


def test_relative_paths_start_beside_a_file_in_any_other_folder(here: Path) -> None:
    file = write(here, "paths: {workspaces: sites, websites: them}", "etc/siteferry.yaml")
    settings = load_settings(file, {})
    assert settings.paths.workspaces == here / "etc/sites"
    assert settings.paths.websites == here / "etc/them"


def test_a_tilde_is_the_home_directory(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    write(here, "paths: {workspaces: ~/sites}")
    assert load_settings(None, {}).paths.workspaces == Path("/home/someone/sites")


def test_every_key_is_read(here: Path) -> None:
    write(
        here,
        """
redis: {url: "rediss://cache:6380/2", username: ferry, key_prefix: "f:"}
credentials: {backend: memory}
defaults: {ftp: {max_connections: 4}}
address_limits: {FTP.Example.com: 8}
log: {level: DEBUG, format: json}
batch: {files: 10, bytes: 500k}
worker: {concurrency: 2, idle_seconds: 0.5}
""",
    )
    settings = load_settings(None, {})
    assert (settings.redis.url, settings.redis.username) == ("rediss://cache:6380/2", "ferry")
    assert settings.redis.key_prefix == "f:"
    assert settings.credentials.backend == "memory"
    assert settings.defaults == {"ftp": {"max_connections": 4}}
    assert settings.address_limits == {"ftp.example.com": 8}
    assert (settings.log.level, settings.log.format) == ("debug", "json")
    assert (settings.batch.files, settings.batch.bytes) == (10, 500_000)
    assert (settings.worker.concurrency, settings.worker.idle_seconds) == (2, 0.5)


def test_a_section_without_content_means_the_defaults(here: Path) -> None:
    write(here, "redis:\n  # url: redis://cache\nlog:\nbatch:\n  files:\n")
    assert load_settings(None, {}).batch.files == 64


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().batch.files = 3  # type: ignore[misc]


# Variables


@pytest.mark.parametrize(
    ("text", "environ", "expected"),
    [
        ("${A}", {"A": "x"}, "x"),
        ("a${A}b${B}c", {"A": "1", "B": "2"}, "a1b2c"),
        ("${A:-d}", {}, "d"),
        ("${A:-d}", {"A": ""}, "d"),
        ("${A:-d}", {"A": "x"}, "x"),
        ("${A:-}", {}, ""),
        ("${A:-a b/c:d}", {}, "a b/c:d"),
        ("${A}", {"A": ""}, ""),
        ("$A $$ ${A}", {"A": "${B}"}, "$A $$ ${B}"),
        ("$${A}", {}, "${A}"),
    ],
)
def test_variables_are_expanded_as_in_a_shell(
    text: str, environ: dict[str, str], expected: str
) -> None:
    assert expand(text, environ) == expected


@pytest.mark.parametrize("text", ["${", "${}", "${1A}", "${A", "${A-x}", "${A B}"])
def test_a_variable_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(NotExpandable, match="NAME"):
        expand(text, {"A": "x"})


def test_variables_in_the_file_are_expanded_and_may_be_numbers(here: Path) -> None:
    write(here, "batch: {files: '${FILES}', bytes: '${BYTES:-2MiB}'}")
    settings = load_settings(None, {"FILES": "7"})
    assert (settings.batch.files, settings.batch.bytes) == (7, 2 * 1024 * 1024)


def test_a_variable_that_is_not_set_is_named_with_its_line(here: Path) -> None:
    message = refused(here, "log:\n  level: ${LEVEL}\n")
    assert message == (
        "config/siteferry.yaml:2: log.level: the environment variable LEVEL is not set; "
        "set it, or write ${NAME:-default}"
    )


def test_environment_text_shows_its_variables_and_not_its_default() -> None:
    text = EnvironmentText(f"x${{PW:-{MARKED}}}")
    assert repr(text) == "EnvironmentText(${PW})"
    assert str(text) == "${PW}"
    assert text.expand({}) == f"x{MARKED}"
    assert text.expand({"PW": "y"}) == "xy"


def test_environment_text_without_its_variable_says_which() -> None:
    text = EnvironmentText("${USER_A}${USER_B:-}")
    assert text.unset({}) == ("USER_A",)
    with pytest.raises(ConfigurationError, match="USER_A is not set"):
        text.expand({})


# Redis and its password


def test_the_environment_s_redis_goes_before_the_file_s(here: Path) -> None:
    write(here, f'redis: {{url: "redis://a/0", username: ferry, password: "{MARKED}"}}')
    settings = load_settings(
        None, {"SITEFERRY_REDIS_URL": "redis://b/1", "SITEFERRY_REDIS_PASSWORD": "other"}
    )
    assert settings.redis.url == "redis://b/1"
    assert settings.redis.password == Secret("other")


def test_a_login_in_the_url_is_taken_out_of_it(here: Path) -> None:
    write(here, f'redis: {{url: "redis://ferry:{MARKED}@cache:6379/0"}}')
    redis = load_settings(None, {}).redis
    assert (redis.url, redis.username) == ("redis://cache:6379/0", "ferry")
    assert redis.password == Secret(MARKED)


def test_a_login_in_the_environment_s_url_goes_before_the_file_s(here: Path) -> None:
    write(here, "redis: {username: old, password: older}")
    redis = load_settings(None, {"SITEFERRY_REDIS_URL": f"redis://new:{MARKED}@b/0"}).redis
    assert (redis.url, redis.username, redis.password) == ("redis://b/0", "new", Secret(MARKED))


def test_the_password_may_be_in_a_file(here: Path) -> None:
    write(here, MARKED + "\r\n", "secrets/redis")
    write(here, "redis: {password_file: secrets/redis}")
    assert load_settings(None, {}).redis.password == Secret(MARKED)


def test_the_environment_may_name_a_password_file(here: Path) -> None:
    file = write(here, MARKED + "\n", "mounted")
    settings = load_settings(None, {"SITEFERRY_REDIS_PASSWORD_FILE": str(file)})
    assert settings.redis.password == Secret(MARKED)


def test_a_password_file_is_not_read_where_the_environment_has_the_password(here: Path) -> None:
    write(here, "redis: {password_file: not-there}")
    settings = load_settings(None, {"SITEFERRY_REDIS_PASSWORD": "pw"})
    assert settings.redis.password == Secret("pw")


def test_a_password_file_that_is_not_there_is_an_error_with_its_line(here: Path) -> None:
    message = refused(here, "redis:\n  password_file: not-there\n")
    assert message.startswith("config/siteferry.yaml:2: redis.password_file: ")
    assert "cannot be read: No such file" in message


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"\xff", "is not UTF-8 text"), (None, "cannot be read: No such file")],
)
def test_a_password_file_of_the_environment_is_told_by_its_variable(
    here: Path, content: bytes | None, message: str
) -> None:
    if content is not None:
        (here / "mounted").write_bytes(content)
    told = refused(here, "", {"SITEFERRY_REDIS_PASSWORD_FILE": str(here / "mounted")})
    assert told.startswith("(environment): SITEFERRY_REDIS_PASSWORD_FILE: names a file that ")
    assert message in told


def test_a_password_in_place_of_its_file_is_not_printed(here: Path) -> None:
    assert "cannot be read" in refused(here, f"redis: {{password_file: {MARKED}}}")
    assert "names no file" in refused(here, f'redis: {{password_file: "{MARKED}\\0"}}')
    assert "cannot be read" in refused(here, "redis: {password_file: ~nobody-here/x}")


def test_a_wrong_url_in_the_environment_is_told_by_its_variable(here: Path) -> None:
    told = refused(here, "", {"SITEFERRY_REDIS_URL": f"http://:{MARKED}@cache"})
    assert told == "(environment): SITEFERRY_REDIS_URL: must be a redis, rediss or unix URL"


def test_two_ways_to_the_password_are_refused(here: Path) -> None:
    assert "one of them" in refused(here, f"redis: {{password: {MARKED}, password_file: x}}")
    environ = {"SITEFERRY_REDIS_PASSWORD": MARKED, "SITEFERRY_REDIS_PASSWORD_FILE": "x"}
    assert "SITEFERRY_REDIS_PASSWORD: is set beside" in refused(here, "", environ)


def test_a_reference_to_the_password_is_kept_for_the_credential_store(here: Path) -> None:
    write(here, "redis:\n  password: ${credential:memory:redis/PASSWORD}\n")
    redis = load_settings(None, {}).redis
    assert redis.password is None
    assert str(redis.password_reference) == "${credential:memory:redis/PASSWORD}"
    redis = load_settings(None, {"SITEFERRY_REDIS_PASSWORD": "pw"}).redis
    assert (redis.password, redis.password_reference) == (Secret("pw"), None)


def test_a_reference_that_is_badly_formed_is_refused(here: Path) -> None:
    message = refused(here, "redis:\n  password: ${credential:redis}\n")
    assert message.startswith("config/siteferry.yaml:2: redis.password: must be ${credential:")


def test_no_print_or_dump_of_settings_holds_a_secret(here: Path) -> None:
    write(
        here,
        f"""
redis: {{url: "redis://u:{MARKED}@cache/0"}}
defaults: {{after: [{{url: "https://hooks.example/{MARKED}"}}]}}
""",
    )
    settings = load_settings(None, {})
    shown = [repr(settings), str(settings), str(settings.model_dump()), settings.model_dump_json()]
    assert all(MARKED not in text for text in shown)
    assert json.loads(settings.model_dump_json())["redis"]["password"] == "**redacted**"


def test_a_url_with_a_login_does_not_get_into_the_model_by_hand() -> None:
    with pytest.raises(ValidationError) as caught:
        RedisSettings(url=f"redis://:{MARKED}@cache/0")
    assert MARKED not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://:hunter2@cache:6379/0",
        "redis://user:hunter2@cache",
        "rediss://user:hunter2%2F@cache/0",
        "redis://:hunter2/with#odd?signs@cache/0",
        "redis://:hunter2@with@cache/0",
        "redis://cache/0?password=hunter2",
        "redis://cache/0?db=1&Password=hunter2",
        "unix://user:hunter2@/run/redis.sock",
        "unix:///run/redis.sock?password=hunter2",
        "REDIS://:hunter2@cache",
    ],
)
def test_a_password_in_an_argument_is_refused_and_not_printed(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        refuse_password_in_url(url)
    assert "SITEFERRY_REDIS_PASSWORD" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://:hunter2@cache", "hunter2", "redis://", ""])
def test_a_url_that_is_not_redis_s_is_refused_and_not_printed(url: str) -> None:
    with pytest.raises(ConfigurationError, match="redis://HOST:PORT/DB") as caught:
        refuse_password_in_url(url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["redis://cache", "redis://user@cache/0", "unix:///run/a@b:c.sock", "redis://[::1]:6379/0?a=b"],
)
def test_a_url_without_a_password_is_accepted(url: str) -> None:
    refuse_password_in_url(url)


def test_percent_signs_of_a_login_are_decoded() -> None:
    address = split_redis_url("redis://us%65r:p%40ss@cache/0")
    assert address is not None
    assert (address.username, address.password) == ("user", Secret("p@ss"))


def test_a_password_may_hold_every_character() -> None:
    address = split_redis_url("redis://:p@s/s?w#rd@cache/0")
    assert address is not None
    assert (address.url, address.password) == ("redis://cache/0", Secret("p@s/s?w#rd"))


def test_the_option_s_url_takes_the_place_of_the_configured_one() -> None:
    settings = override_redis_url(Settings(), "redis://me@other:1/2")
    assert (settings.redis.url, settings.redis.username) == ("redis://other:1/2", "me")
    with pytest.raises(ConfigurationError):
        override_redis_url(Settings(), "redis://me:pw@other")


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("8388608", 8388608),
        ("8MiB", 8 * 2**20),
        ("8 MiB", 8 * 2**20),
        ("1.5k", 1500),
        ("500kB/s", 500_000),
        ("2M", 2_000_000),
        ("1Gi", 2**30),
        ("7b", 7),
    ],
)
def test_sizes_may_have_units(here: Path, text: str, size: int) -> None:
    write(here, f"batch: {{bytes: {text}}}")
    assert load_settings(None, {}).batch.bytes == size
