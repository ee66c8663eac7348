"""`siteferry demo`: the main job from end to end, with nothing installed beforehand."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from siteferry.cli.demo_server import write_certificate
from siteferry.cli.demo_website import digest_tree, write_website
from siteferry.errors import HostUnreachable
from siteferry.publish.staging import BASE_NAME

_USER = "demo"
_LOG = "server.log"
_SHOWN_CHARACTERS = 3000
_SETTINGS = """\
paths: {workspaces: workspaces}
state_dir: state
"""
_WEBSITE = """\
website: {{name: demo, domain: demo.example}}
ftp:
  host: 127.0.0.1
  port: {port}
  security: explicit
  ca_file: {certificate}
  username: {user}
  password: ${{credential:environment:demo/FTP_PASSWORD}}
  remote_dir: /public_html
sources: [{{path: output}}]
"""


@click.command()
@click.option("--keep", is_flag=True, help="Keep the folder, to look into it.")
def demo(keep: bool) -> None:
    """Publish an example website to a server of its own, twice, and prove that it arrived.

    A local FTPS server (pyftpdlib), a private Redis, one worker; all in a folder that is removed.
    """
    with _folder(keep) as folder:
        if keep:
            click.echo(f"in {folder}")
        sys.exit(_run(folder))


@contextmanager
def _folder(keep: bool) -> Iterator[Path]:
    if keep:
        yield Path(tempfile.mkdtemp(prefix="siteferry-demo-"))
        return
    with tempfile.TemporaryDirectory(prefix="siteferry-demo-") as name:
        yield Path(name)


def _run(folder: Path) -> int:
    source, root = folder / "workspaces/demo/output", folder / "server"
    (root / "public_html").mkdir(parents=True)
    write_website(source)
    certificate, key = write_certificate(folder)
    password = secrets.token_urlsafe(12)
    with _server(root, certificate, key, password) as port:
        config = folder / "config"
        (config / "websites").mkdir(parents=True)
        (config / "siteferry.yaml").write_text(_SETTINGS)
        (config / "websites/demo.yaml").write_text(
            _WEBSITE.format(port=port, certificate=certificate, user=_USER)
        )
        environment = {
            **os.environ,
            "SITEFERRY_CREDENTIAL_BACKEND": "environment",
            "SITEFERRY_CRED_DEMO_FTP_PASSWORD": password,
        }
        environment.pop("SITEFERRY_REDIS_URL", None)
        command = [sys.executable, "-m", "siteferry", "--config", str(config / "siteferry.yaml")]
        for headline in ("First import: everything is new.", "Second import: one page changed."):
            click.echo(f"\n{headline}\n$ siteferry import demo")
            code = subprocess.run([*command, "import", "demo"], env=environment).returncode
            if code:
                click.echo(f"The server's log ends with:\n{_end_of_log(folder)}", err=True)
                return code
            if not _prove(source, root / "public_html"):
                return 1
            page = source / "index.html"
            page.write_text(page.read_text() + "<p>And changed.</p>\n")
    return 0


def _prove(source: Path, published: Path) -> bool:
    here, there = digest_tree(source, BASE_NAME), digest_tree(published, BASE_NAME)
    if here != there:
        differing = sorted(
            path for path in here.keys() | there.keys() if here.get(path) != there.get(path)
        )
        click.echo(f"The trees differ: {', '.join(differing[:10])}", err=True)
        return False
    click.echo(f"Proof: {len(here)} files and directories are the same on both sides (SHA-256).")
    return True


def _end_of_log(folder: Path) -> str:
    return (folder / _LOG).read_text(errors="replace")[-_SHOWN_CHARACTERS:]


def _introduce(process: subprocess.Popen[str], password: str) -> str:
    if process.stdin is None or process.stdout is None:
        return ""
    process.stdin.write(password + "\n")
    process.stdin.flush()
    return process.stdout.readline()


@contextmanager
def _server(root: Path, certificate: Path, key: Path, password: str) -> Iterator[int]:
    argv = [sys.executable, "-m", "siteferry.cli.demo_server"]
    with (root.parent / _LOG).open("w") as errors:
        process = subprocess.Popen(
            [*argv, str(root), str(certificate), str(key), _USER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    try:
        line = _introduce(process, password)
        if not line.strip().isdigit():
            raise HostUnreachable(f"the demo's server did not start: {_end_of_log(root.parent)}")
        yield int(line)
    finally:
        process.kill()
        process.communicate()
