"""config/compose/redis.sh, with a program in the place of Redis that shows what it was given."""

from __future__ import annotations

import hashlib
import re
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.conftest import unavailable
from tests.installation import REPOSITORY

SCRIPT = REPOSITORY / "config/compose/redis.sh"
USERS = REPOSITORY / "config/redis-users.acl"
NAMES = ("producer", "beat", "worker", "flower")
SHELLS = [["dash"], ["busybox", "sh"], ["bash", "--posix"]]

STARTED = """#!/bin/sh
printf '%s\\n' "$@" > "$PLACE/arguments"
"""


class Place:
    """The container's folders in one of the test's, and an ordinary user in the place of 999."""

    def __init__(self, folder: Path, as_ordinary_user: Callable[..., Any]) -> None:
        self.folder, self._as_ordinary_user = folder, as_ordinary_user
        text = SCRIPT.read_text()
        for name in ("/run/secrets", "/etc/siteferry", "/run/redis"):
            assert name in text
            text = text.replace(name, f"{folder}{name}")
            (folder / name[1:]).mkdir(parents=True)
        (folder / "run/redis").chmod(0o777)
        folder.chmod(0o777)
        self.script = folder / "redis.sh"
        self.script.write_text(text)
        shutil.copy(USERS, self.acl)
        self.acl.chmod(0o644)
        (folder / "bin").mkdir()
        program = folder / "bin/redis-server"
        program.write_text(STARTED)
        program.chmod(0o755)
        for name in NAMES:
            self.secret(name).write_text(f"word-of-{name}\n")
            self.secret(name).chmod(0o644)

    @property
    def acl(self) -> Path:
        return self.folder / "etc/siteferry/redis-users.acl"

    def secret(self, name: str) -> Path:
        return self.folder / f"run/secrets/redis-{name}"

    def start(self, shell: list[str]) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": f"{self.folder}/bin:/usr/bin:/bin", "PLACE": str(self.folder)}
        environment["MAXMEMORY"] = "320mb"

        def run() -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [*shell, str(self.script)], env=environment, capture_output=True, text=True
            )

        done: subprocess.CompletedProcess[str] = self._as_ordinary_user(run)
        return done

    @property
    def started(self) -> bool:
        return (self.folder / "arguments").exists()

    def hashes(self) -> dict[str, str]:
        """What each user's password is checked against."""
        text = (self.folder / "run/redis/users.acl").read_text()
        return dict(re.findall(r"^user siteferry-(\w+) on #(\S+) ", text, re.MULTILINE))


@pytest.fixture(params=SHELLS, ids=lambda words: words[0])
def shell(request: pytest.FixtureRequest) -> list[str]:
    words: list[str] = request.param
    program = shutil.which(words[0])
    if program is None:
        unavailable(f"{words[0]} is not installed")
    return [program, *words[1:]]


@pytest.fixture
def place(open_folder: Path, as_ordinary_user: Callable[..., Any]) -> Place:
    return Place(open_folder, as_ordinary_user)


def test_each_user_gets_the_hash_of_the_word_in_its_file(place: Place, shell: list[str]) -> None:
    place.secret("beat").write_bytes(b"from Windows\r\n")
    place.secret("worker").write_bytes(b"p$HOME `id` #x'\"\\n -n")
    done = place.start(shell)
    assert done.returncode == 0, done.stderr
    words = {"producer": "word-of-producer", "beat": "from Windows", "flower": "word-of-flower"}
    words["worker"] = "p$HOME `id` #x'\"\\n -n"
    expected = {name: hashlib.sha256(word.encode()).hexdigest() for name, word in words.items()}
    assert place.hashes() == expected
    file = place.folder / "run/redis/users.acl"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    arguments = (place.folder / "arguments").read_text()
    assert f"--aclfile\n{file}\n" in arguments
    assert "--appendonly\nyes\n" in arguments
    assert "--maxmemory\n320mb\n--maxmemory-policy\nnoeviction\n" in arguments


@pytest.mark.parametrize(
    ("name", "content"),
    [("producer", b""), ("beat", b"\n"), ("worker", b"\r\n"), ("flower", b"\n\n")],
)
def test_a_secret_without_a_word_starts_nothing(
    place: Place, shell: list[str], name: str, content: bytes
) -> None:
    place.secret(name).write_bytes(content)
    done = place.start(shell)
    assert done.returncode != 0
    assert f"secrets/redis-{name} is empty" in done.stderr
    assert not place.started


def test_a_secret_that_cannot_be_read_starts_nothing(place: Place, shell: list[str]) -> None:
    place.secret("worker").chmod(0)
    done = place.start(shell)
    assert done.returncode != 0
    assert "secrets/redis-worker cannot be read" in done.stderr
    assert not place.started


def test_a_secret_that_is_missing_starts_nothing(place: Place, shell: list[str]) -> None:
    place.secret("flower").unlink()
    assert place.start(shell).returncode != 0
    assert not place.started


@pytest.mark.parametrize("damage", ["unreadable", "empty"])
def test_without_a_list_of_users_nothing_starts(
    place: Place, shell: list[str], damage: str
) -> None:
    """Redis would take an empty one for: anybody may do anything."""
    if damage == "empty":
        place.acl.write_text("# nobody\n")
    else:
        place.acl.chmod(0)
    assert place.start(shell).returncode != 0
    assert not place.started


@pytest.mark.parametrize("content", [None, b"", b"\r\n", b"word\r\n"])
def test_the_health_check_asks_with_the_word_and_never_without_one(
    place: Place, shell: list[str], content: bytes | None
) -> None:
    stack = YAML(typ="safe").load((REPOSITORY / "docker-compose.yml").read_text())
    kind, command = stack["services"]["redis"]["healthcheck"]["test"]
    assert kind == "CMD-SHELL"
    command = command.replace("$$", "$").replace("/run/secrets", f"{place.folder}/run/secrets")
    place.script.write_text(command)
    client = place.folder / "bin/redis-cli"
    client.write_text("#!/bin/sh\nprintf '<%s>' \"$REDISCLI_AUTH\" > $PLACE/arguments; echo PONG\n")
    client.chmod(0o755)
    if content is None:
        place.secret("producer").chmod(0)
    else:
        place.secret("producer").write_bytes(content)
    done = place.start(shell)
    if content == b"word\r\n":
        assert done.returncode == 0
        assert (place.folder / "arguments").read_text() == "<word>"
    else:
        assert done.returncode != 0
        assert not place.started
