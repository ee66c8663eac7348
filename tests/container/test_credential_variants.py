"""Credentials by environment and by secret files, with the two overrides as they stand."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.container.stack import Stack

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

VARIABLE = "SITEFERRY_CRED_EXAMPLE_FTP_PASSWORD"


@pytest.fixture
def other_store(stack: Stack) -> Iterator[Stack]:
    """The encrypted file has nothing of the website; afterwards the stack is as it was."""
    stack.siteferry("credential", "remove", "example", check=False)
    yield stack
    stack.up()


def publish(stack: Stack, content: str) -> None:
    """An import of the website `example`, up to what stands on the server."""
    stack.add_site("example", {"index.html": content})
    run = stack.siteferry("import", "example", "--detach").stdout.split()[-1]
    ended = stack.end_of(run)
    assert ended["state"] == "done", ended
    assert (stack.volume("ftp") / "example/index.html").read_text() == content


def shown(stack: Stack) -> str:
    return json.dumps(stack.containers("worker")) + stack.compose("logs").stdout


def test_by_environment(other_store: Stack) -> None:
    stack = other_store
    password, begins = stack.secrets["ftp-demo"], stack.recognised()["ftp-demo"]
    stack.add_site("example", {"index.html": "named"})
    named = stack.siteferry("credential", "env", "example", "--format", "compose-env").stdout
    assert f"\n{VARIABLE}=''\n" in named
    file = stack.folder / "secrets/websites.env"
    written = password.replace("'", "\\'")
    file.write_text(named.replace(f"{VARIABLE}=''", f"{VARIABLE}='{written}'"))
    file.chmod(0o600)  # Compose reads it, not a container
    stack.up(variant="environment.yml")
    publish(stack, "by environment")
    # What docs/containers.md says of this variant, and of no other service.
    for worker in stack.containers("worker"):
        assert f"{VARIABLE}={password}" in worker["Config"]["Env"]
    assert begins not in json.dumps(stack.containers("scheduler"))
    assert begins not in stack.compose("logs").stdout


def test_by_secret_files(other_store: Stack) -> None:
    stack = other_store
    stack.add_secret(VARIABLE, stack.secrets["ftp-demo"])
    stack.up(variant="secret-files.yml")
    publish(stack, "by secret files")
    assert stack.recognised()["ftp-demo"] not in shown(stack)


def test_without_a_password_the_run_says_which_one_is_missing(other_store: Stack) -> None:
    stack = other_store
    stack.add_site("nobody", {"index.html": "never"})
    run = stack.siteferry("import", "nobody", "--detach").stdout.split()[-1]
    ended = stack.end_of(run)
    assert ended["exit_code"] == 3
    assert "nobody/FTP_PASSWORD" in json.dumps(ended)
