"""`--purge-first` is literal, so it asks, and the root directory needs a word more."""

from __future__ import annotations

import os
import pty
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.installation import Installation, put_on_server, tree_of, write_tree
from tests.servers.base import FtpServer


@pytest.fixture
def installation(pyftpd_server: FtpServer, tmp_path: Path) -> Installation:
    made = Installation(tmp_path)
    source = made.add_site(pyftpd_server)
    write_tree(source, {"index.html": "new"})
    put_on_server(pyftpd_server, {"old.html": "old", "deep/er/x": "old"})
    return made


def test_without_a_terminal_it_needs_yes(
    installation: Installation, pyftpd_server: FtpServer
) -> None:
    before = tree_of(pyftpd_server.root / "public_html")
    refused = installation.run("import", "example", "--purge-first")
    assert refused.code == 2
    assert "add --yes" in refused.stderr
    assert tree_of(pyftpd_server.root / "public_html") == before
    done = installation.run("import", "example", "--purge-first", "--yes", "--json", "--quiet")
    assert done.code == 0, done.output
    assert done.json["stats"]["deleted"] == 2
    assert list(tree_of(pyftpd_server.root / "public_html")) == ["index.html"]


@pytest.mark.parametrize(("answer", "code", "left"), [("n", 130, 2), ("y", 0, 1)])
def test_at_a_terminal_it_asks(
    installation: Installation, pyftpd_server: FtpServer, answer: str, code: int, left: int
) -> None:
    ours, theirs = pty.openpty()
    command = subprocess.Popen(
        installation.argv("import", "example", "--purge-first", "--quiet"),
        env=installation.env(),
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=installation.folder,
    )
    os.write(ours, f"{answer}\n".encode())
    output, _ = command.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)
    assert "empties the live site of example" in output
    assert command.returncode == code, output
    live = tree_of(pyftpd_server.root / "public_html")
    assert len([digest for digest in live.values() if digest != "directory"]) == left


def test_the_root_directory_is_emptied_only_where_the_website_allows_it(
    pyftpd: Callable[..., FtpServer], tmp_path: Path
) -> None:
    server = pyftpd()
    installation = Installation(tmp_path)
    put_on_server(server, {"inbox": "not the website's"}, below="mail")
    for allowed in (False, True):
        source = installation.add_site(server, ftp={"remote_dir": "/"}, allow_purge_root=allowed)
        write_tree(source, {"index.html": "new"})
        done = installation.run("import", "example", "--purge-first", "--yes", "--json", "-q")
        assert (done.code, (server.root / "mail/inbox").exists()) == (
            (0, False) if allowed else (2, True)
        ), done.output
        if not allowed:
            assert "allow_purge_root" in done.json["error"]["next_step"]
