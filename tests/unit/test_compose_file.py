"""docker-compose.yml, its overrides and the Dockerfile agree with the code and with one another."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ruamel.yaml import YAML

from siteferry.cli import cli
from siteferry.credentials.environment import entry_of
from siteferry.settings.loading import load_settings
from siteferry.settings.models import WorkerSettings
from siteferry.websites import load_website
from tests.installation import REPOSITORY

FOLDER = REPOSITORY / "config/compose"
SECRETS = "/run/secrets/"


def read(path: str) -> dict[str, Any]:
    document: dict[str, Any] = YAML(typ="safe").load((REPOSITORY / path).read_text())
    return document


STACK = read("docker-compose.yml")
SERVICES: dict[str, dict[str, Any]] = STACK["services"]
OWN = ("worker", "scheduler", "flower")


@pytest.mark.parametrize("name", OWN)
def test_the_command_of_a_service_is_accepted(name: str) -> None:
    words = list(SERVICES[name]["command"])
    context = cli.make_context("siteferry", words[:], allow_extra_args=True)
    _, command, rest = cli.resolve_command(context, words)
    assert command is not None
    command.make_context(words[0], rest, parent=context)


def test_a_worker_is_given_five_seconds_more_than_its_grace() -> None:
    assert SERVICES["worker"]["stop_grace_period"] == f"{WorkerSettings().grace_seconds + 5:.0f}s"


def test_every_service_is_closed_and_bounded() -> None:
    for name, service in SERVICES.items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        # The Dockerfile's user, unless it says another one; and none can be privileged.
        assert str(service.get("user", "10001")).partition(":")[0] != "0", name
        assert service["pids_limit"] <= 256, name
        assert service["mem_limit"], name
        for place in service["tmpfs"]:
            assert re.search(r",size=\d+m$", place), (name, place)
        assert not {"privileged", "cap_add", "network_mode", "pid"} & set(service), name


def test_no_secret_stands_in_an_environment_and_each_that_is_named_is_mounted() -> None:
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            if value.startswith(SECRETS):
                assert variable.endswith("_FILE")
                assert value.removeprefix(SECRETS) in service["secrets"], name
            elif variable != "MAXMEMORY":
                assert variable == "SITEFERRY_REDIS_URL"
                assert f"siteferry-{value.partition('@')[0].rpartition('-')[2]}@" in value


def test_the_commands_of_the_readme_make_every_secret() -> None:
    section = (REPOSITORY / "README.md").read_text().partition("## With Docker\n")[2]
    listed = re.search(r"^ *for name in (.*); do$", section, re.MULTILINE)
    assert listed is not None
    assert {*listed[1].split(), "credential-key"} == set(STACK["secrets"])
    for name, secret in STACK["secrets"].items():
        assert secret["file"] == f"./secrets/{name}"


def test_the_users_of_redis_are_those_of_the_example() -> None:
    users = set(
        re.findall(
            r"^user (siteferry-\w+)",
            (REPOSITORY / "config/redis-users.acl").read_text(),
            re.MULTILINE,
        )
    )
    assert {
        f"siteferry-{name.removeprefix('redis-')}" for name in SERVICES["redis"]["secrets"]
    } == users


def test_both_files_name_one_base_image_and_the_same_extras() -> None:
    dockerfile = (REPOSITORY / "Dockerfile").read_text()
    for name, default in SERVICES["worker"]["build"]["args"].items():
        found = re.search(rf"^ARG {name}=(\S+)$", dockerfile, re.MULTILINE)
        assert found is not None
        assert default.partition(":-")[2] == f"{found[1]}}}"


def test_all_that_is_ours_runs_one_image_which_can_be_named() -> None:
    images = {service["image"] for name, service in SERVICES.items() if name != "redis"}
    assert images == {"${SITEFERRY_IMAGE:-siteferry}"}


def test_flower_s_check_asks_where_the_command_listens_whatever_the_settings_say() -> None:
    flower = SERVICES["flower"]
    port = flower["command"][flower["command"].index("--port") + 1]
    assert flower["ports"][0].endswith(f":{port}")
    assert f'"127.0.0.1", {port}' in flower["healthcheck"]["test"][-1]


def test_a_change_of_the_code_installs_nothing_anew() -> None:
    """Whatever is copied before the first install has it done again when it changes."""
    first = (REPOSITORY / "Dockerfile").read_text().partition("bin/pip ")[0]
    assert re.findall(r"^COPY (.*)$", first, re.MULTILINE) == ["pyproject.toml ./"]


def test_the_overrides_select_a_store_and_name_entries() -> None:
    by_environment = read("config/compose/environment.yml")["services"]["worker"]
    assert by_environment["environment"] == {"SITEFERRY_CREDENTIAL_BACKEND": "environment"}
    by_files = read("config/compose/secret-files.yml")
    worker = by_files["services"]["worker"]
    assert worker["environment"] == {"SITEFERRY_CREDENTIAL_BACKEND": "mounted"}
    assert set(worker["secrets"]) == set(by_files["secrets"])
    for name, secret in by_files["secrets"].items():
        assert entry_of(name) is not None
        assert secret["file"] == f"./secrets/{name}"


def test_the_website_of_the_demo_is_on_the_server_of_the_demo() -> None:
    settings = load_settings(FOLDER / "demo/siteferry.yaml", {"SITEFERRY_METRICS_TOKEN": "x" * 8})
    website = load_website("example", settings)
    assert website.ftp.host in SERVICES
    assert str(website.ftp.port) in SERVICES[website.ftp.host]["entrypoint"]
