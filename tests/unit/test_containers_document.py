"""docs/containers.md says what the compose file does, and its commands destroy nothing."""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path

from tests.installation import REPOSITORY

TEXT = (REPOSITORY / "docs/containers.md").read_text()
BLOCKS = re.findall(r"^```\w*\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
COMMANDS = [line for block in BLOCKS for line in block.splitlines() if "docker" in line]


def test_no_command_writes_over_the_secrets_that_are_there() -> None:
    writing = [line for line in COMMANDS if re.search(r"[^>]> secrets/", line)]
    assert writing
    for line in writing:
        assert "set -C; " in line, line


def test_every_variable_of_the_compose_file_is_told_in_it_and_in_the_document() -> None:
    text = (REPOSITORY / "docker-compose.yml").read_text()
    used = {
        name: default if sign == ":-" else "none"
        for name, sign, default in re.findall(r"\$\{(\w+)(:[-?])([^}]*)\}", text)
    }
    head = text.partition("\nname:")[0]
    listed = re.findall(r"^# {3}([A-Z][A-Z_, ]+[A-Z]) ", head, re.MULTILINE)
    assert sorted(name for row in listed for name in row.split(", ")) == sorted(used)
    table = dict(re.findall(r"^\| `([A-Z_]+)` \| (.*?) \|", TEXT, re.MULTILINE))
    table["SITEFERRY_WORKSPACES"] = table["SITEFERRY_WORKSPACES"].replace("a volume", "workspaces")
    assert {name: default.strip("`") for name, default in table.items()} == used


def test_what_the_commands_start_stays_as_it_is_at_the_next_one() -> None:
    """An option that the next `up` does not repeat is undone by it: numbers stand in .env."""
    for line in COMMANDS:
        assert "--scale" not in line, line


def test_the_commands_of_the_readme_keep_what_is_there() -> None:
    """Typed once more: secrets, the key of all credentials among them, and .env stay."""
    section = (REPOSITORY / "README.md").read_text().partition("## With Docker\n")[2]
    found = re.search(r"^```sh\n(.*?)^docker compose build$", section, re.MULTILINE | re.DOTALL)
    assert found is not None
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "config").mkdir()

        def typed() -> dict[Path, str]:
            subprocess.run(["bash"], input=found[1], text=True, cwd=place, capture_output=True)
            return {p: p.read_text() for p in place.rglob("*") if p.is_file()}

        once = typed()
        assert place / ".env" in once
        assert place / "secrets/credential-key" in once
        assert typed() == once
