"""A siteferry installation in a temporary folder: configuration, workspaces, and its command."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from siteferry.publish.staging import RUN_NAME
from tests.servers.base import FtpServer, file_owner, running_as_root

BASE_NAME = ".htsiteferry"
_STAYS = re.compile(rf"\.htmanifest|\.htlock(/{RUN_NAME})?")
REPOSITORY = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Outcome:
    """What a command printed and how it ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """What it printed, which must be nothing but JSON."""
        return json.loads(self.stdout)

    @property
    def output(self) -> str:
        return self.stdout + self.stderr


@dataclass
class Installation:
    """A folder with `config/`, `workspaces/` and a state directory of its own.

    `redis`: URL of a Redis; None: the command runs its private one.
    """

    folder: Path
    redis: str | None = None
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        (self.folder / "config/websites").mkdir(parents=True)
        self.configure()

    def configure(self, **settings: Any) -> None:
        """Write `config/siteferry.yaml`, with `settings` beside what every installation has."""
        own = {
            "paths": {"workspaces": str(self.folder / "workspaces")},
            "state_dir": str(self.folder / "state"),
            # Tests run beside each other, and its port is one for the machine.
            "metrics": {"enabled": False},
        }
        self._write("config/siteferry.yaml", own | settings)

    def add_site(
        self,
        server: FtpServer,
        name: str = "example",
        *,
        remote: str = "public_html",
        password: str | None = None,
        **website: Any,
    ) -> Path:
        """Write a website on `server`, published below `remote` of its root; gives its source.

        The password is in the environment only. `website` overrides keys of the website file;
        `ftp` is merged.
        """
        variable = f"PASSWORD_OF_{name.upper().replace('-', '_')}"
        self.environment[variable] = server.password if password is None else password
        ftp: dict[str, Any] = {
            "host": server.host,
            "port": server.port,
            "security": "explicit" if server.tls else "none",
            "username": server.user,
            "password": f"${{{variable}}}",
            "remote_dir": f"{server.remote_root.rstrip('/')}/{remote}",
        }
        if server.certificate:
            ftp["ca_file"] = str(server.certificate)
        ftp |= website.pop("ftp", {})
        self._write(
            f"config/websites/{name}.yaml", {"website": {"name": name}, "ftp": ftp} | website
        )
        source = self.folder / "workspaces" / name / "output"
        source.mkdir(parents=True, exist_ok=True)
        return source

    def env(self) -> dict[str, str]:
        """The environment of its processes: nothing of siteferry's from outside."""
        clean = {k: v for k, v in os.environ.items() if not k.startswith("SITEFERRY_")}
        extra = {"SITEFERRY_REDIS_URL": self.redis} if self.redis else {}
        return {**clean, "PYTHONPATH": str(REPOSITORY), **extra, **self.environment}

    def argv(self, *arguments: str) -> list[str]:
        config = str(self.folder / "config/siteferry.yaml")
        return [sys.executable, "-m", "siteferry", "--config", config, *arguments]

    def run(self, *arguments: str, timeout: float = 100) -> Outcome:
        """Run `siteferry ARGUMENTS` to its end."""
        done = subprocess.run(
            self.argv(*arguments),
            env=self.env(),
            capture_output=True,
            text=True,
            timeout=timeout,
            cwd=self.folder,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    @contextmanager
    def process(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """Run `siteferry ARGUMENTS` beside the test; killed at the end if it still runs. What it
        prints goes to `<first argument>.log` in the folder."""
        log = self.folder / f"{arguments[0]}.log"
        with log.open("a") as stream:
            started = subprocess.Popen(
                self.argv(*arguments),
                env=self.env(),
                stdout=stream,
                stderr=stream,
                text=True,
                cwd=self.folder,
            )
        try:
            yield started
        finally:
            started.kill()
            started.wait()

    def forget_everything(self) -> None:
        """Empty the private ledger, as if the machine were new. No command may be running."""
        shutil.rmtree(self.folder / "state", ignore_errors=True)

    def _write(self, path: str, content: Mapping[str, Any]) -> None:
        # JSON is YAML.
        (self.folder / path).write_text(json.dumps(content, indent=2))


def write_tree(folder: Path, files: Mapping[str, str | bytes]) -> None:
    """Write files below `folder`; a path that ends with `/` becomes an empty directory."""
    for path, content in files.items():
        target = folder / path
        if path.endswith("/"):
            target.mkdir(parents=True, exist_ok=True)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else content.encode())


def put_on_server(
    server: FtpServer, files: Mapping[str, str | bytes], below: str = "public_html"
) -> None:
    """Write what siteferry did not publish, as the account's own files."""
    folder = server.root / below
    write_tree(folder, files)
    if running_as_root():
        for path in (folder, *folder.rglob("*")):
            os.chown(path, *file_owner(), follow_symlinks=False)


def tree_of(folder: Path) -> dict[str, str]:
    """What stands below `folder`: SHA-256 of each file by its path, `directory` for directories;
    siteferry's own directory does not count."""
    found: dict[str, str] = {}
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if relative.parts[0] != BASE_NAME:
            found[str(relative)] = (
                "directory" if path.is_dir() else hashlib.sha256(path.read_bytes()).hexdigest()
            )
    return found


def left_over(folder: Path) -> list[str]:
    """What siteferry has left in its own directory below `folder`; the manifest aside, and a lock
    that nobody holds."""
    base = folder / BASE_NAME
    found = (str(path.relative_to(base)) for path in base.rglob("*"))
    return sorted(name for name in found if not _STAYS.fullmatch(name))
