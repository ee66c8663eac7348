"""The compose stack in a clone of this repository, with secrets, websites and workspaces."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.container.engine import Engine
from tests.installation import tree_of, write_tree
from tests.servers.binaries import REPOSITORY

OWN_USER, REDIS_USER = 10001, 999
ODD = "$HOME ${X} #x'\"\\y"
"""What env files, shells and Redis' ACL file might take for something of their own."""
LIMIT_FOR_TWO, LIMIT_FOR_FOUR = 12, 30
"""Connections of websites: fewer than the workers have threads (8 each), and more than some of them
could use."""

REDIS_IMAGE = r"\$\{REDIS_IMAGE:-([^}]+)\}"
"""Where docker-compose.yml names it."""
_WITHIN_SECONDS = 90.0
_POLL_SECONDS = 0.2
_SESSION = re.compile(r" (?P<session>[\d.:]+)-\[.*\] FTP session (?:(?P<open>opened)|closed)")


def clone(folder: Path) -> Path:
    """What stands in the repository, without anything that git ignores."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        source, target = REPOSITORY / name, folder / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    return folder


class Stack:
    """`docker compose` in `folder`, a clone. `environment` is for the compose file."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine, self.folder = engine, folder
        self.environment: dict[str, str] = {}
        self.secrets: dict[str, str] = {}

    def prepare(self) -> None:
        """Secrets, a folder of website files, a folder of workspaces; none of them the clone's."""
        folder = self.folder / "secrets"
        folder.mkdir(mode=0o700)
        stack: dict[str, Any] = YAML(typ="safe").load(self.folder / "docker-compose.yml")
        for name in sorted(stack["secrets"].keys() - {"credential-key"}):
            # A bearer's token has visible characters alone (RFC 6750, section 2.1).
            odd = "" if name == "metrics-token" else ODD
            self.add_secret(name, secrets.token_hex(24) + odd)
        self.add_secret("credential-key", secrets.token_urlsafe(32) + "=")
        config, workspaces = self.folder / "mine/config", self.folder / "mine/workspaces"
        (config / "websites").mkdir(parents=True)
        workspaces.mkdir()
        settings = {"metrics": {"listen": "0.0.0.0:9808"}, "batch": {"files": 2}}
        (config / "siteferry.yaml").write_text(json.dumps(settings))
        self.environment |= {
            "COMPOSE_PROFILES": "demo",
            "SITEFERRY_CONFIG_FOLDER": str(config),
            "SITEFERRY_WORKSPACES": str(workspaces),
        }

    def add_secret(self, name: str, value: str) -> None:
        """A file as the README's commands make it."""
        self.secrets[name] = value
        file = self.folder / "secrets" / name
        file.write_text(value + "\n")
        file.chmod(0o644)

    def recognised(self) -> dict[str, str]:
        """What each secret begins with: nothing writes it otherwise, as JSON does with the rest."""
        return {name: value[:42] for name, value in self.secrets.items()}

    def add_site(
        self,
        name: str,
        files: Mapping[str, str | bytes],
        limit: int = LIMIT_FOR_TWO,
        **website: Any,
    ) -> Path:
        """A website of the demo's account, published into the directory of its name."""
        ftp = {"host": "ftp", "port": 2121, "security": "none", "username": "demo"}
        ftp |= {"remote_dir": f"/{name}", "max_connections": limit}
        file = self.folder / f"mine/config/websites/{name}.yaml"
        file.write_text(json.dumps({"ftp": ftp} | website))
        source = self.folder / "mine/workspaces" / name / "output"
        write_tree(source, files)
        return source

    def compose(
        self, *arguments: str, text: str | None = None, check: bool = True, seconds: float = 300
    ) -> subprocess.CompletedProcess[str]:
        """`docker compose ARGUMENTS`; see `Engine.run`."""
        return self.engine.run(
            *("docker", "compose", *arguments),
            cwd=self.folder,
            environment=self.environment,
            text=text,
            check=check,
            seconds=seconds,
        )

    def up(self, variant: str | None = None, workers: int = 2, wait: bool = True) -> None:
        """Start what does not run, and wait until all of it is healthy.

        variant: an override of config/compose. workers: two are the file's own number. wait: False:
        until it is started.
        """
        files = ["-f", "docker-compose.yml", "-f", f"config/compose/{variant}"] if variant else []
        self.compose(
            *(*files, "up", "--detach", "--pull", "never"),
            *(["--scale", f"worker={workers}"] if workers != 2 else []),
            *(["--wait"] if wait else []),
        )

    def siteferry(
        self, *arguments: str, text: str | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run `siteferry ARGUMENTS` in the first worker's container."""
        # Not `docker compose exec`: after scaling down the first need not have the number 1.
        container = self.containers("worker")[0]["Id"]
        words = ("docker", "exec", "--interactive", container, "siteferry", *arguments)
        return self.engine.run(*words, text=text, check=check)

    def store_password(self, site: str) -> None:
        """Put the password of the demo's account into the store of credentials."""
        self.siteferry("credential", "add", site, text=self.secrets["ftp-demo"] + "\n")

    def begin(self, site: str) -> str:
        """Start an import, and give its name once some of its files have arrived."""
        run = self.siteferry("import", site, "--detach").stdout.split()[-1]
        deadline = time.monotonic() + _WITHIN_SECONDS
        while not self.status(run)["stats"]["uploaded"]:
            assert time.monotonic() < deadline, self.status(run)
            time.sleep(_POLL_SECONDS)
        return run

    def status(self, run: str) -> Any:
        return json.loads(self.siteferry("status", run, "--json").stdout)

    def end_of(self, run: str) -> Any:
        """Follow the run to its end."""
        return json.loads(self.siteferry("watch", run, "--json", check=False).stdout)

    def published(self, name: str) -> dict[str, str]:
        """What stands on the FTP server (see `tree_of`)."""
        return tree_of(self.volume("ftp") / name)

    def volume(self, name: str) -> Path:
        """Where the engine keeps a volume."""
        return self.engine.folder / f"data/volumes/siteferry_{name}/_data"

    def containers(self, service: str | None = None) -> list[dict[str, Any]]:
        """What `docker inspect` tells of those that there are, by their numbers."""
        ids = self.compose("ps", "--all", "--quiet", *([service] if service else [])).stdout.split()
        found = json.loads(self.engine.run("docker", "inspect", *ids).stdout) if ids else []
        number = "com.docker.compose.container-number"
        return sorted(found, key=lambda facts: int(facts["Config"]["Labels"][number]))

    def pid(self, service: str) -> int:
        """The machine's number of the main process of the service's last container; 0 where it does
        not run."""
        return int(self.containers(service)[-1]["State"]["Pid"])

    def until_healthy(self, service: str) -> None:
        """Until all containers of the service are, after a restart; bounded."""
        deadline = time.monotonic() + _WITHIN_SECONDS
        while any(
            facts["State"].get("Health", {}).get("Status") != "healthy"
            for facts in self.containers(service)
        ):
            assert time.monotonic() < deadline, self.compose("ps", "--all").stdout
            time.sleep(_POLL_SECONDS)

    def until_restarted(self, service: str) -> None:
        """Until Docker has started one of the service's containers once more; bounded. Only then
        does its health tell of the new process."""
        deadline = time.monotonic() + _WITHIN_SECONDS
        while not any(facts["RestartCount"] for facts in self.containers(service)):
            assert time.monotonic() < deadline, self.compose("ps", "--all").stdout
            time.sleep(_POLL_SECONDS)

    def ftp_log(self) -> str:
        # Not Compose's logs, which begin each line with an escape.
        return self.engine.run("docker", "logs", self.containers("ftp")[0]["Id"]).stderr

    def most_connections(self, before: str = "") -> int:
        """The most sessions that the FTP server has had at a time, its health checks aside, since
        its log was `before`."""
        log = self.ftp_log()[len(before) :]
        now: set[str] = set()
        most = 0
        for line in _SESSION.finditer(log):
            if line["session"].startswith("127."):
                continue
            if line["open"]:
                now.add(line["session"])
            else:
                now.discard(line["session"])
            most = max(most, len(now))
        assert most, f"the log tells of no session:\n{log[-2000:]}"
        return most


def named(pattern: str, file: str) -> str:
    """What a file of the repository names as `pattern` tells."""
    found = re.search(pattern, (REPOSITORY / file).read_text(), re.MULTILINE)
    assert found is not None
    return found[1]


def kill(pid: int) -> None:
    """End a container's main process as a crash would: a kill by Docker counts as a stop by hand,
    after which no restart policy acts."""
    if pid <= 1:
        pytest.fail("the container does not run")
    os.kill(pid, 9)
