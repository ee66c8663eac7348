"""What is in the image, and what is not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.container.stack import Stack

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

LARGEST_BYTES = 110 * 10**6
"""Of our own layers; the base image comes on top."""


def image(stack: Stack, name: str = "siteferry") -> Any:
    return json.loads(stack.engine.run("docker", "image", "inspect", name).stdout)[0]


def test_an_ordinary_user_starts_the_worker_and_is_probed(built: Stack) -> None:
    config = image(built)["Config"]
    assert config["User"] == "10001:10001"
    assert config["Entrypoint"] == ["siteferry"]
    assert config["Cmd"] == ["worker"]
    assert config["Healthcheck"]["Test"] == ["CMD", "siteferry-probe", "alive"]


def test_our_own_layers_are_small(built: Stack) -> None:
    base = next(
        line.split("=")[1]
        for line in (built.folder / "Dockerfile").read_text().splitlines()
        if line.startswith("ARG PYTHON_IMAGE=")
    )
    own = image(built)["Size"] - image(built, base)["Size"]
    assert own < LARGEST_BYTES, f"{own / 1e6:.0f} MB"


def test_the_whole_demo_runs_in_it_with_a_read_only_root_and_no_network(built: Stack) -> None:
    closed = ["--read-only", "--tmpfs", "/tmp", "--network", "none", "--cap-drop", "ALL"]
    done = built.engine.run("docker", "run", "--rm", *closed, "siteferry", "demo")
    assert done.stdout.count("are the same on both sides") == 2


def test_nothing_can_be_installed_with_what_is_in_it(built: Stack) -> None:
    """By no Python that is in it, and no command."""
    script = """
        cd / && for python in $(find / -xdev -path /proc -prune -o -name 'python3*' -perm -100 \
            \\( -type f -o -type l \\) -print); do
            "$python" -c 'import importlib.util as u, sys
for n in ("pip", "ensurepip", "setuptools", "wheel", "pytest"):
    if u.find_spec(n): print(sys.executable, n)' && echo looked
        done
        command -v pip pip3 wheel easy_install
        true
    """
    asked = built.engine.run(
        "docker", "run", "--rm", "--entrypoint", "sh", "siteferry", "-c", script
    )
    lines = asked.stdout.splitlines()
    assert lines.count("looked") >= 2, asked
    assert set(lines) == {"looked"}


def test_what_starts_again_and_again_is_compiled(built: Stack) -> None:
    """Nothing of it could be kept on a read-only root, and the probe starts every five seconds."""
    word = """
import http.client, os, sys
import siteferry.cli, siteferry.health.probe
kept = [m.__cached__ for m in sys.modules.values() if getattr(m, "__cached__", None)]
print(len(kept) > 50, [path for path in kept if not os.path.exists(path)])
"""
    python = ["--entrypoint", "python3", "siteferry", "-c", word]
    assert built.engine.run("docker", "run", "--rm", *python).stdout.strip() == "True []"


def test_only_what_the_dockerfile_copies_gets_to_the_engine(built: Stack) -> None:
    """A Dockerfile that copies everything finds no secret, no history, no workspace."""
    probe = built.folder / "probe.Dockerfile"
    ignored = built.folder / "probe.Dockerfile.dockerignore"
    probe.write_text("FROM siteferry\nCOPY . /context\n")
    ignored.write_text((built.folder / ".dockerignore").read_text())
    try:
        built.engine.run(
            *("docker", "build", "--quiet", "--tag", "probe", "--file", str(probe)),
            str(built.folder),
        )
        found = built.engine.run(
            *("docker", "run", "--rm", "--entrypoint", "ls", "probe", "-A", "/context")
        )
    finally:
        probe.unlink()
        ignored.unlink()
    assert found.stdout.split() == [
        *("LICENSE", "README.md", "pyproject.toml", "scheduler", "siteferry", "worker"),
    ]
