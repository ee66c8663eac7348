"""What Compose makes of docker-compose.yml and its overrides: `docker compose config`, which asks
no engine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from textwrap import indent
from typing import Any

import pytest

from siteferry.cli.credential_env import lines_of
from siteferry.credentials import Entry
from tests.container.engine import INSTALLED
from tests.container.stack import ODD
from tests.installation import REPOSITORY

PLUGIN = "docker/cli-plugins/docker-compose"
PLACES = (INSTALLED, Path("/usr/libexec"), Path("/usr/lib"), Path("/usr/local/lib"))
VARIABLE = "SITEFERRY_CRED_EXAMPLE_FTP_PASSWORD"


class Project:
    """The compose files alone in a folder, as in a checkout."""

    def __init__(self, folder: Path, program: Path) -> None:
        self.folder, self.program = folder, program
        shutil.copy(REPOSITORY / "docker-compose.yml", folder)
        shutil.copytree(REPOSITORY / "config/compose", folder / "config/compose")
        (folder / "secrets").mkdir()

    def run(
        self, *overrides: str, **variables: str
    ) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
        """`docker compose config`, and what it printed as JSON, if it did."""
        variables = {"SITEFERRY_CONFIG_FOLDER": "./config/compose/demo"} | variables
        files = ["docker-compose.yml", *(f"config/compose/{name}" for name in overrides)]
        options = [word for file in files for word in ("--file", file)]
        done = subprocess.run(
            [str(self.program), *options, "config", "--format", "json"],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder), **variables},
            capture_output=True,
            text=True,
        )
        return done, json.loads(done.stdout) if done.returncode == 0 else {}

    def config(self, *overrides: str, **variables: str) -> dict[str, Any]:
        """What the files say, all in all."""
        done, document = self.run(*overrides, **variables)
        assert done.returncode == 0, done.stderr
        return document


@pytest.fixture
def project(tmp_path: Path) -> Project:
    for place in PLACES:
        if (place / PLUGIN).exists():
            return Project(tmp_path, place / PLUGIN)
    # Not a failure in CI either: tests/container/install.sh unpacks it, for another target.
    pytest.skip("Docker Compose 2 is not installed")


@pytest.mark.parametrize(
    "password", [f"p{ODD}", "ab #cd", '"quoted"', "", "a\\nb", "it's", "''", "$$", "x\\\\ü"]
)
def test_a_password_in_the_file_of_variables_gets_to_the_workers_as_it_is(
    project: Project, password: str
) -> None:
    """The lines that `credential env` prints, and between their quotes what docs/containers.md
    says of a value."""
    lines = "\n".join(lines_of("compose-env", [Entry("example", "FTP_PASSWORD")]))
    assert lines.count("''") == 1
    written = password.replace("'", "\\'") + "z"
    file = project.folder / "secrets/websites.env"
    file.write_text(lines.replace("''", f"'{written}'") + "\nBEHIND='it'\n")
    worker = project.config("environment.yml")["services"]["worker"]
    given = worker["environment"]
    # As in a compose file, where $$ is $.
    assert given[VARIABLE].replace("$$", "$") == password + "z"
    assert given["BEHIND"] == "it"
    assert given["SITEFERRY_CREDENTIAL_BACKEND"] == "environment"


def test_workers_are_as_many_as_the_variable_says_whoever_starts_them(project: Project) -> None:
    assert project.config()["services"]["worker"]["scale"] == 2
    (project.folder / ".env").write_text("SITEFERRY_WORKERS=5\n")
    assert project.config()["services"]["worker"]["scale"] == 5


def test_without_a_folder_of_configuration_nothing_starts(project: Project) -> None:
    done, _ = project.run(SITEFERRY_CONFIG_FOLDER="")
    assert done.returncode != 0
    assert "SITEFERRY_CONFIG_FOLDER" in done.stderr
    assert "set it in .env" in done.stderr


def test_a_folder_of_configuration_that_is_not_there_is_not_made(project: Project) -> None:
    for name in ("worker", "scheduler", "flower"):
        service = project.config(SITEFERRY_CONFIG_FOLDER="/srv/mistyped")["services"][name]
        (mount,) = [m for m in service["volumes"] if m["target"] == "/srv/siteferry/config"]
        assert mount["source"] == "/srv/mistyped"
        assert mount["read_only"]
        assert not mount["bind"].get("create_host_path")


@pytest.mark.parametrize("workspaces", [None, "/srv/sites/workspaces"])
def test_the_example_is_written_where_workers_look_for_it(
    project: Project, workspaces: str | None
) -> None:
    variables = {"SITEFERRY_WORKSPACES": workspaces} if workspaces else {}
    services = project.config(COMPOSE_PROFILES="demo", **variables)["services"]
    written, read = (
        next(m for m in services[name]["volumes"] if m["target"] == "/srv/siteferry/workspaces")
        for name in ("ftp", "worker")
    )
    assert written["source"] == read["source"] == (workspaces or "workspaces")
    assert read["read_only"]
    assert not written.get("read_only")


def test_what_the_command_prints_for_a_compose_file_is_the_override(project: Project) -> None:
    lines = "\n".join(lines_of("compose", [Entry("example", "FTP_PASSWORD")]))
    service, _, top = lines.partition("# At the top level:\n")
    override = project.folder / "config/compose/secret-files.yml"
    expected = project.config("secret-files.yml")
    override.write_text(
        f"services:\n  worker:\n{indent(service, '    ')}\n{top.replace('# ', '', 1)}".replace(
            "\n#   ", "\n  "
        )
    )
    assert project.config("secret-files.yml") == expected
    assert VARIABLE in override.read_text()
