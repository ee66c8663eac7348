"""A folder without any configuration, and an empty home: where a first command is tried out."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tests.installation import REPOSITORY, Outcome
from tests.servers.base import FtpServer


@dataclass
class BarePlace:
    """`site` is the directory to publish; everything that commands keep is below `home`."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.home.mkdir()
        self.site.mkdir()

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def site(self) -> Path:
        return self.folder / "site"

    def env(self) -> dict[str, str]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("SITEFERRY_", "XDG_"))}
        return {**clean, "PYTHONPATH": str(REPOSITORY), "HOME": str(self.home), **self.environment}

    def argv(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "siteferry", *arguments]

    def run(self, *arguments: str, given: str = "") -> Outcome:
        """Run `siteferry ARGUMENTS`, with `given` on its standard input, which is no terminal."""
        done = subprocess.run(
            self.argv(*arguments),
            env=self.env(),
            input=given,
            capture_output=True,
            text=True,
            timeout=100,
            cwd=self.folder,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    def run_at_terminal(self, *arguments: str, typed: str) -> Outcome:
        """The same at a terminal, where `typed` is entered once it is asked for."""
        child, terminal = pty.fork()
        if child == 0:
            os.chdir(self.folder)
            os.execve(sys.executable, self.argv(*arguments), self.env())  # noqa: S606
        shown = b""
        entered = False
        while True:
            try:
                part = os.read(terminal, 65536)
            except OSError:  # the other end is closed
                part = b""
            if not part:
                break
            shown += part
            if b"Password of " in shown and not entered:
                os.write(terminal, typed.encode() + b"\n")
                entered = True
        os.close(terminal)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        return Outcome(code, shown.decode(), "")


def url_of(server: FtpServer, scheme: str, directory: str = "public_html") -> str:
    """Where a directory on `server` is, without its password."""
    root = server.remote_root.rstrip("/")
    return f"{scheme}://{server.user}@{server.host}:{server.port}{root}/{directory}"
