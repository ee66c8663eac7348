"""The README's commands, typed as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.container.engine import Engine
from tests.container.stack import Stack, clone
from tests.installation import tree_of
from tests.servers.binaries import REPOSITORY

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def commands() -> str:
    """The first block below the README's heading."""
    section = (REPOSITORY / "README.md").read_text().partition("## With Docker\n")[2]
    found = re.search(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def test_the_quick_start_publishes_the_example(
    engine: Engine, built: Stack, tmp_path: Path
) -> None:
    """In a fresh clone beside the stack of the other tests, hence another name and port."""
    folder = clone(tmp_path / "siteferry")
    beside = {"COMPOSE_PROJECT_NAME": "quickstart", "SITEFERRY_FLOWER_PORT": "5556"}
    end = "docker compose down\n"
    assert commands().endswith(end)
    volumes = engine.folder / "data/volumes"
    try:
        typed = commands().removesuffix(end)
        done = engine.run("bash", "-euxo", "pipefail", "-c", typed, cwd=folder, environment=beside)
        assert "248 uploaded, 0 already up to date, 0 failed" in done.stdout
        source = tree_of(volumes / "quickstart_workspaces/_data/example/output")
        assert len(source) > 248
        assert tree_of(volumes / "quickstart_ftp/_data/public_html") == source
        names = engine.run("docker", "compose", "ps", cwd=folder, environment=beside).stdout
        assert len(re.findall(r"quickstart-worker-\d", names)) == 4
        engine.run("bash", "-euc", end, cwd=folder, environment=beside)
        for kind in (["ps", "--all"], ["network", "ls"]):
            listed = engine.run("docker", *kind, "--quiet", "--filter", "name=quickstart").stdout
            assert not listed, kind
    finally:
        engine.run(
            *("docker", "compose", "--profile", "demo", "down", "--volumes", "--timeout", "5"),
            cwd=folder,
            environment=beside,
            check=False,
        )
