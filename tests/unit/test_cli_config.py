"""`siteferry config` and `siteferry init`, as a user calls them."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from siteferry.cli.config import config
from siteferry.cli.first_files import SETTINGS_TEXT, FirstWebsite
from siteferry.cli.init import init
from siteferry.cli.options import GlobalOptions
from siteferry.errors import ConfigurationError
from siteferry.settings import Settings, load_settings
from siteferry.websites import CredentialReference, load_website

REPOSITORY = Path(__file__).parents[2]
MARKED = "hunter2/S3cret"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and no settings from the environment."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("SITEFERRY_"):
            monkeypatch.delenv(name)
    return tmp_path


def run(command: Any, *arguments: str, file: Path | None = None) -> Result:
    """Call a command; what it raises goes through, as it does to the program's own handler."""
    options = GlobalOptions(config=file)
    return CliRunner(catch_exceptions=False).invoke(command, list(arguments), obj=options)


def write(name: str, text: str) -> Path:
    file = Path("config/websites", name)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


# config check


def test_right_websites_are_counted(here: Path) -> None:
    write("a.yaml", "ftp: {host: a}")
    result = run(config, "check")
    assert (result.exit_code, result.output) == (0, "1 website is fine\n")
    write("b.yaml", "ftp: {host: b}")
    assert run(config, "check").output == "2 websites are fine\n"


def test_without_a_website_the_next_step_is_told(here: Path) -> None:
    result = run(config, "check")
    assert result.exit_code == 0
    assert (
        result.output == "no website in config/websites yet; write the first: siteferry init SITE\n"
    )


def test_every_problem_of_every_file_has_its_line(here: Path) -> None:
    write("a.yaml", f"ftp:\n  host: a\n  port: {MARKED}\n  hots: b\n")
    write("b.yaml", f"ftp: '{MARKED}")
    write("c.yaml", "ftp: {host: c}")
    write("d e.yaml", "ftp: {host: d}")
    write("f.yaml", "ftp: {host: f}")
    write("f.json", "{}")
    result = run(config, "check")
    assert result.exit_code == 2
    assert [line.split(": ")[0] for line in result.output.splitlines()] == [
        "config/websites/a.yaml:3",
        "config/websites/a.yaml:4",
        "config/websites/b.yaml:1",
        "config/websites/d e.yaml",
        "config/websites/f.json",
        "config/websites/f.yaml",
    ]
    assert MARKED not in result.output


def test_wrong_settings_are_told_like_wrong_websites(here: Path) -> None:
    write("../siteferry.yaml", "log:\n  level: loud\n")
    write("a.yaml", "ftp: {host: a}")
    result = run(config, "check")
    assert result.exit_code == 2
    assert result.output.startswith("config/siteferry.yaml:2: log.level: must be 'debug', ")


def test_a_mistake_in_the_defaults_is_told_once(here: Path) -> None:
    write("../siteferry.yaml", "defaults: {ftp: {port: x}}")
    for name in ("a", "b"):
        write(f"{name}.yaml", f"ftp: {{host: {name}}}")
    output = run(config, "check").output
    assert output == "config/siteferry.yaml:1: defaults.ftp.port: must be a whole number\n"


def test_a_named_file_that_is_missing_goes_to_the_caller(here: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no configuration file gone\.yaml"):
        run(config, "check", file=Path("gone.yaml"))


def test_a_password_in_a_file_is_right_and_a_warning_names_the_way_out(here: Path) -> None:
    write("old.yaml", f"hostinger: {{host: a, username: u, password: {MARKED}}}")
    write("new.yaml", "ftp: {host: b, password: '${credential:new/FTP_PASSWORD}'}")
    result = run(config, "check")
    assert result.exit_code == 0
    assert result.stdout == "2 websites are fine\n"
    assert "website old" in result.stderr
    assert "siteferry credential migrate old" in result.stderr
    assert "new" not in result.stderr
    report = json.loads(run(config, "check", "--json").stdout)
    assert len(report["warnings"]) == 1
    assert MARKED not in result.output + json.dumps(report)


def test_two_websites_with_one_target_are_found(here: Path) -> None:
    write("a.yaml", "ftp: {host: FTP.x.example, username: u1, remote_dir: /www/}")
    write("b.yaml", "ftp:\n  host: ftp.x.example\n  username: u1\n  remote_dir: www\n")
    write("c.yaml", "ftp: {host: ftp.x.example, username: u1, remote_dir: /other}")
    write("d.yaml", "hostinger:\n  host: ftp.x.example\n  username: u1\n  remote_dir: /www\n")
    result = run(config, "check")
    assert result.exit_code == 2
    assert [line.partition(": the same")[0] for line in result.output.splitlines()] == [
        "config/websites/b.yaml:4: ftp.remote_dir",
        "config/websites/d.yaml:4: hostinger.remote_dir",
    ]
    assert "as website a" in result.output


def test_stores_that_there_are_not_are_found(here: Path) -> None:
    write("../siteferry.yaml", "credentials:\n  backend: vualt\n")
    write("a.yaml", "ftp:\n  host: a\n  password: ${credential:valut:a/K}\n")
    assert [
        line.partition(": names no store")[0] for line in run(config, "check").output.splitlines()
    ] == [
        "config/siteferry.yaml:2: credentials.backend",
        "config/websites/a.yaml:3: ftp.password",
    ]


def test_the_check_can_be_read_by_programs(here: Path) -> None:
    write("a.yaml", "ftp: {host: a}")
    assert json.loads(run(config, "check", "--json").output) == {
        "ok": True,
        "websites": ["a"],
        "problems": [],
        "warnings": [],
    }
    write("b.yaml", f"ftp:\n  host: b\n  port: {MARKED}\n")
    result = run(config, "check", "--json")
    assert result.exit_code == 2
    assert json.loads(result.output) == {
        "ok": False,
        "websites": ["a", "b"],
        "problems": [
            {
                "file": "config/websites/b.yaml",
                "line": 3,
                "key": "ftp.port",
                "message": "must be a whole number",
            }
        ],
        "warnings": [],
    }


def test_the_configuration_of_this_repository_is_fine() -> None:
    result = run(config, "check", file=REPOSITORY / "config/siteferry.yaml")
    assert result.exit_code == 0
    assert result.output.endswith("fine\n")


# config schema


@pytest.mark.parametrize("which", [[], ["website"], ["settings"]])
def test_a_schema_is_whole(which: list[str]) -> None:
    text = run(config, "schema", *which).output
    schema = json.loads(text)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["additionalProperties"] is False
    references = set(re.findall(r'"#/\$defs/(\w+)"', text))
    assert references
    assert references <= schema["$defs"].keys()


def test_the_website_schema_asks_for_nothing_that_is_filled_in() -> None:
    schema = json.loads(run(config, "schema").output)
    assert "required" not in schema
    assert {"website", "ftp", "hostinger", "sources"} <= schema["properties"].keys()
    assert "identity" not in schema["properties"]
    assert "required" not in schema["$defs"]["FtpTarget"]
    assert "required" not in schema["$defs"]["Identity"]


def test_a_number_in_the_schema_may_be_a_variable() -> None:
    schema = json.loads(run(config, "schema").output)
    kinds = schema["$defs"]["FtpTarget"]["properties"]["port"]["anyOf"]
    assert [kind["type"] for kind in kinds] == ["integer", "string"]


# init


def test_a_first_configuration_is_written_and_is_right(here: Path) -> None:
    result = run(init, "shop", "--host", "ftp.example.com", "--user", "u1", "--remote-dir", "/www")
    assert result.exit_code == 0
    settings = load_settings(None, {})
    assert settings.file == here / "config/siteferry.yaml"
    site = load_website("shop", settings, {})
    assert (site.ftp.host, site.ftp.username, site.ftp.remote_dir) == (
        "ftp.example.com",
        "u1",
        "/www",
    )
    assert site.ftp.password == CredentialReference(None, "shop", "FTP_PASSWORD")
    assert site.ftp.security == "explicit"
    assert "siteferry credential add shop FTP_PASSWORD" in result.output
    assert "FTP_USERNAME" not in result.output
    assert "workspaces/shop/output" in result.output
    assert run(config, "check").output == "1 website is fine\n"


def test_without_a_user_the_name_comes_from_the_store(here: Path) -> None:
    result = run(init, "my-shop", "--host", "ftp.example.com")
    site = load_website("my-shop", load_settings(None, {}), {})
    assert site.ftp.username == CredentialReference(None, "my-shop", "FTP_USERNAME")
    assert "siteferry credential add my-shop FTP_USERNAME" in result.output


def test_where_the_environment_is_the_store_its_variables_are_told(here: Path) -> None:
    write("../siteferry.yaml", "credentials: {backend: environment}")
    result = run(init, "my-shop", "--host", "ftp.example.com")
    assert "SITEFERRY_CRED_MY__2DSHOP_FTP_USERNAME" in result.output


def test_every_option_gets_into_the_file(here: Path) -> None:
    run(
        init,
        *("shop", "--host", "::1", "--user", "a: ${b}#", "--remote-dir", "/ä b"),
        *("--source", "100", "--workspace", "true", "--security", "implicit"),
    )
    site = load_website("shop", load_settings(None, {}), {})
    assert (site.ftp.host, site.ftp.port, site.ftp.security) == ("::1", 990, "implicit")
    assert site.ftp.remote_dir == "/ä b"
    assert (site.workspace, site.sources[0].path) == ("true", "100")
    user = site.ftp.username
    assert not isinstance(user, CredentialReference | str | None)
    assert user.expand({}) == "a: ${b}#"


def test_a_website_that_is_there_is_not_overwritten(here: Path) -> None:
    file = write("shop.yml", "ftp: {host: mine}")
    with pytest.raises(ConfigurationError, match=r"is there already: config/websites/shop\.yml"):
        run(init, "shop", "--host", "other")
    assert file.read_text() == "ftp: {host: mine}"
    assert not Path("config/siteferry.yaml").exists()
    assert not Path("config/websites/shop.yaml").exists()


def test_settings_that_are_there_are_used_and_kept(here: Path) -> None:
    file = here / "etc/siteferry.yaml"
    file.parent.mkdir()
    file.write_text("paths: {websites: them}\ncredentials: {backend: memory}\n")
    result = run(init, "shop", "--host", "h.example", file=file)
    assert (here / "etc/them/shop.yaml").exists()
    assert file.read_text().startswith("paths: {websites: them}")
    assert "store shop/FTP_PASSWORD in memory" in result.output


def test_a_settings_file_that_was_named_is_written_where_it_was_named(here: Path) -> None:
    file = here / "srv/config/siteferry.yaml"
    run(init, "shop", "--host", "h.example", file=file)
    assert file.read_text() == SETTINGS_TEXT
    assert (here / "srv/config/websites/shop.yaml").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["shop", "--host", "ftp://h/"],
        ["shop", "--host", "h", "--remote-dir", "/../x"],
        ["shop", "--host", "h", "--source", "/etc"],
        ["shop", "--host", "h", "--user", "a\nb"],
        ["../shop", "--host", "h"],
        ["shop"],
    ],
)
def test_wrong_answers_write_nothing(here: Path, arguments: list[str]) -> None:
    with pytest.raises(ConfigurationError):
        run(init, *arguments)
    assert list(here.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_an_error(here: Path) -> None:
    Path("config").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be written"):
        run(init, "shop", "--host", "h.example")


def test_on_a_terminal_it_asks_for_what_it_needs_and_for_no_password(here: Path) -> None:
    controller, terminal = pty.openpty()
    # Four lines in advance: host, user, directory (its default) and source.
    os.write(controller, b"ftp.example.com\nu1\n\npublic\n")
    process = subprocess.run(
        [sys.executable, "-m", "siteferry", "init", "shop"],
        stdin=terminal,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    os.close(terminal)
    os.close(controller)
    assert process.returncode == 0, process.stderr
    site = load_website("shop", load_settings(None, {}), {})
    assert (site.ftp.host, site.ftp.username) == ("ftp.example.com", "u1")
    assert (site.ftp.remote_dir, site.sources[0].path) == ("/", "public")
    assert "Host of the FTP server" in process.stderr
    assert "assword" not in process.stderr
    assert process.stdout.startswith("wrote config/siteferry.yaml\nwrote config/websites/shop.yaml")


def test_the_settings_that_init_writes_are_this_repository_s_example_and_the_defaults() -> None:
    file = REPOSITORY / "config/siteferry.yaml"
    assert file.read_text(encoding="utf-8") == SETTINGS_TEXT
    written, default = load_settings(file, {}), Settings()
    assert written.credentials.backend == default.credentials.backend
    for part in ("address_limits", "connects_per_second", "log", "batch", "worker"):
        assert getattr(written, part) == getattr(default, part)
    assert written.redis.url is None
    keys = [name for name in Settings.model_fields if f"\n{name}:" not in SETTINGS_TEXT]
    assert keys == ["state_dir", "health_dir"]
    for key in keys:
        assert f"\n# {key}:" in SETTINGS_TEXT


def test_a_first_website_file_ends_its_texts_where_they_end() -> None:
    first = FirstWebsite("shop", "h", "yes", "/", "null", "12", "none")
    text = first.text()
    assert 'username: "yes"' in text
    assert 'workspace: "null"' in text
    assert '- path: "12"' in text


def test_these_commands_load_neither_celery_nor_redis() -> None:
    code = (
        "import sys, siteferry.cli.config, siteferry.cli.init\n"
        "heavy = {'celery', 'kombu', 'redis', 'structlog', 'ftputil'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, timeout=60
    )
    assert process.returncode == 0, process.stderr
