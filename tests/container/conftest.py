"""One engine, one image and one stack for all container tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.container.engine import Engine, missing
from tests.container.stack import REDIS_IMAGE, Stack, clone, named


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """With the stand-ins for the images that the unchanged files name."""
    if reason := missing():
        # Not a failure in CI: they have a target of their own.
        pytest.skip(reason)
    running = Engine()
    try:
        running.start()
        running.load_stand_ins(
            named(r"^ARG PYTHON_IMAGE=(\S+)", "Dockerfile"),
            named(REDIS_IMAGE, "docker-compose.yml"),
        )
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="session")
def built(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """The image is built as the README says; nothing runs yet."""
    stack = Stack(engine, clone(tmp_path_factory.mktemp("clone")))
    stack.prepare()
    with engine.connected():
        stack.compose("build", seconds=420)
    return stack


@pytest.fixture(scope="session")
def stack(built: Stack) -> Iterator[Stack]:
    """Runs, with two workers and the demo's FTP server, on credentials in the encrypted file."""
    try:
        built.up()
        yield built
    finally:
        built.compose("down", "--volumes", "--timeout", "5", check=False)
