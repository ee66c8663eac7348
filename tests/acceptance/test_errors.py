"""What goes wrong on real hosts, and what the command says of it: a clear message with the next
step, the exit code, nothing half-written, and no secret anywhere."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.test_two_workers import wait_for_workers
from tests.clear_errors import SITE, assert_clear, closed_port, everything_below, put_old_site
from tests.conftest import Servers, unavailable
from tests.installation import BASE_NAME, Installation, Outcome, left_over, tree_of, write_tree
from tests.private_redis import RedisServer
from tests.servers.base import PASSWORD, FtpServer, running_as_root

MARKED = "Wrong-Barge-5528"
"""A password that stands nowhere else, so that finding it means that it got out."""


def worker_log(installation: Installation) -> str:
    """What the command's own worker has logged."""
    return (installation.folder / "state/worker.log").read_text()


@pytest.fixture
def site(pyftpd_server: FtpServer, tmp_path: Path) -> Installation:
    """A website with a source, on a server that holds an older one."""
    put_old_site(pyftpd_server)
    installation = Installation(tmp_path)
    write_tree(installation.add_site(pyftpd_server), SITE)
    return installation


def everything_in(server: RedisServer) -> bytes:
    """All keys and all values of a Redis, one after the other. Not by DUMP, which compresses."""
    parts: list[object] = []
    with server.client() as client:
        for key in client.scan_iter():
            kind = client.type(key)
            parts += [key, kind]
            if kind == b"string":
                parts.append(client.get(key))
            elif kind == b"hash":
                parts.append(client.hgetall(key))
            elif kind == b"list":
                parts.append(client.lrange(key, 0, -1))
            elif kind == b"set":
                parts.append(client.smembers(key))
            elif kind == b"zset":
                parts.append(client.zrange(key, 0, -1))
            else:
                assert kind == b"none", f"how is a {kind!r} read?"
    return repr(parts).encode()


def run_watching_processes(
    installation: Installation, *arguments: str
) -> tuple[Outcome, set[bytes]]:
    """Run a command; also give the command lines of the processes seen meanwhile that stand in the
    installation's folder, as all that it starts do."""
    seen: set[bytes] = set()  # that of a process at its end is empty
    started = subprocess.Popen(
        installation.argv(*arguments),
        env=installation.env(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=installation.folder,
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            for process in Path("/proc").glob("[0-9]*"):
                with contextlib.suppress(FileNotFoundError, PermissionError, ProcessLookupError):
                    if (process / "cwd").readlink() == installation.folder:
                        seen.add((process / "cmdline").read_bytes())
            try:
                stdout, stderr = started.communicate(timeout=0.05)
                break
            except subprocess.TimeoutExpired:
                assert time.monotonic() < deadline, "the command does not end"
    finally:
        started.kill()
        started.wait()
    return Outcome(started.returncode, stdout, stderr), seen


def test_a_wrong_password_is_refused_with_code_3(ftp_server: FtpServer, tmp_path: Path) -> None:
    put_old_site(ftp_server)
    installation = Installation(tmp_path)
    write_tree(installation.add_site(ftp_server, password=MARKED), SITE)
    before = everything_below(ftp_server.root)
    outcome = installation.run("import", "example")
    assert_clear(
        installation,
        outcome,
        3,
        "the host does not accept the user name or the password",
        "the server said: 530 ",
        "Correct the credential, then run the same import again",
        "nothing was published",
        secrets=[MARKED],
    )
    assert "530" in worker_log(installation)
    assert everything_below(ftp_server.root) == before


@pytest.mark.parametrize("password", ["right", "wrong"])
def test_a_password_stands_in_no_key_no_value_no_log_and_no_command_line(
    password: str, pyftpd_server: FtpServer, redis_server: RedisServer, tmp_path: Path
) -> None:
    """With a Redis that stays and a worker started by hand that logs all it can."""
    secret = PASSWORD if password == "right" else MARKED
    installation = Installation(tmp_path, redis=redis_server.url)
    write_tree(installation.add_site(pyftpd_server, password=secret), SITE)
    config = str(installation.folder / "config/siteferry.yaml")
    with (
        (installation.folder / "worker.log").open("w") as log,
        subprocess.Popen(
            installation.argv("--log-level", "debug", "worker"),
            env=installation.env(),
            stdout=log,
            stderr=log,
            cwd=installation.folder,
        ) as worker,
    ):
        try:
            wait_for_workers(redis_server, 1)
            outcome, seen = run_watching_processes(
                installation, "--log-level", "debug", "import", "example"
            )
            stored = everything_in(redis_server)
        finally:
            worker.terminate()
            worker.wait(20)
    assert b"siteferry:run:" in stored
    assert secret.encode() not in stored
    assert sum(config.encode() in line for line in seen) >= 2, "they were not seen"
    assert not any(secret.encode() in line for line in seen)
    code, word = (0, "3 uploaded") if password == "right" else (3, "530 ")
    assert_clear(installation, outcome, code, word, secrets=[secret])
    assert "plan" in (installation.folder / "worker.log").read_text()


def test_an_unknown_host_ends_with_code_4(site: Installation, pyftpd_server: FtpServer) -> None:
    before = everything_below(pyftpd_server.root)
    site.add_site(pyftpd_server, ftp={"host": "ftp.example.invalid"})
    outcome = site.run("import", "example")
    assert_clear(
        site,
        outcome,
        4,
        "the host name ftp.example.invalid does not resolve",
        "Correct ftp.host of the website, or the machine's DNS",
        secrets=[PASSWORD],
    )
    assert everything_below(pyftpd_server.root) == before


def test_a_closed_port_ends_with_code_4(site: Installation, pyftpd_server: FtpServer) -> None:
    before = everything_below(pyftpd_server.root)
    with closed_port() as port:
        site.add_site(pyftpd_server.through(port))
        outcome = site.run("import", "example")
    assert_clear(
        site,
        outcome,
        4,
        f"nothing answers at 127.0.0.1:{port}",
        "Connection refused",
        "Check ftp.host and ftp.port, and that no firewall stands between",
        secrets=[PASSWORD],
    )
    assert everything_below(pyftpd_server.root) == before


def test_a_missing_workspace_ends_with_code_2(site: Installation, pyftpd_server: FtpServer) -> None:
    before = everything_below(pyftpd_server.root)
    workspace = site.folder / "workspaces/example"
    shutil.rmtree(workspace)
    outcome = site.run("import", "example")
    assert_clear(
        site,
        outcome,
        2,
        f"{workspace}, does not exist",
        "Create it, or correct website.workspace or paths.workspaces",
        secrets=[PASSWORD],
    )
    assert everything_below(pyftpd_server.root) == before


def run_without_rights(installation: Installation, *arguments: str) -> Outcome:
    """Run a command that permissions bind: root passes them all by two capabilities, which are
    taken away. Becoming another user would not do, for that user may not reach this Python."""
    argv = installation.argv(*arguments)
    if running_as_root():
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            unavailable("setpriv (util-linux) is missing")
        rights = "-dac_override,-dac_read_search"
        argv = [setpriv, f"--bounding-set={rights}", f"--inh-caps={rights}", "--", *argv]
    done = subprocess.run(
        argv,
        env=installation.env(),
        capture_output=True,
        text=True,
        timeout=60,
        cwd=installation.folder,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def test_an_unreadable_file_leaves_the_run_incomplete_with_code_1(
    site: Installation, pyftpd_server: FtpServer
) -> None:
    """A closed directory as well; the other files stand staged, and nothing is published."""
    live = pyftpd_server.root / "public_html"
    before = tree_of(live)
    source = site.folder / "workspaces/example/output"
    write_tree(source, {"closed.txt": "closed to all", "cellar/wine.txt": "closed, too"})
    (source / "closed.txt").chmod(0)
    (source / "cellar").chmod(0)
    outcome = run_without_rights(site, "import", "example")
    (source / "cellar").chmod(0o700)
    (source / "closed.txt").chmod(0o644)
    assert_clear(
        site,
        outcome,
        1,
        "example: incomplete, nothing was published",
        "3 uploaded, 0 already up to date, 2 failed",
        "failed: closed.txt: closed.txt cannot be read: Permission denied",
        "failed: cellar: cellar cannot be listed: Permission denied",
        "Make it readable for the user that the worker runs as, or exclude it",
        secrets=[PASSWORD],
    )
    assert tree_of(live) == before
    (staging,) = (live / BASE_NAME).iterdir()
    contents = {str(content) for content in SITE.values()}
    assert {path.read_text() for path in staging.iterdir()} == contents

    again = run_without_rights(site, "import", "example")
    assert_clear(site, again, 0, "5 uploaded", "0 failed", secrets=[PASSWORD])
    assert left_over(live) == []


@pytest.mark.parametrize("kind", ["vsftpd", "proftpd", "pureftpd", "pyftpd"])
def test_a_read_only_remote_directory_ends_with_code_4(
    kind: str, servers: Servers, tmp_path: Path
) -> None:
    server = servers.start(kind, read_only=True)
    try:
        put_old_site(server)
        installation = Installation(tmp_path)
        write_tree(installation.add_site(server), SITE)
        before = everything_below(server.root)
        outcome = installation.run("import", "example")
        assert_clear(
            installation,
            outcome,
            4,
            f"the remote directory {server.remote_root.rstrip('/')}/public_html cannot be written",
            "the server said: 550 ",
            "Check ftp.remote_dir, and that the FTP account may write there",
            "nothing was published",
            secrets=[PASSWORD],
        )
        assert everything_below(server.root) == before
    finally:
        server.remove()


SAID_WHEN_FULL = {
    "vsftpd": "451 Failure writing to local file.",
    "proftpd": "No space left on device",
    "pureftpd": "Error during write to file",
}


@pytest.fixture
def small_disk(open_folder: Path) -> Iterator[Path]:
    """A file system of one MiB that servers can serve."""
    if not running_as_root():
        pytest.skip("only root can mount a file system")
    root = open_folder / "root"
    root.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(root)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("root may not mount a file system here")
    yield root
    subprocess.run(["umount", str(root)], check=True)


@pytest.mark.slow
@pytest.mark.needs_root
@pytest.mark.parametrize("kind", SAID_WHEN_FULL)
def test_a_full_disk_on_the_server_leaves_the_old_site_whole_with_code_1(
    kind: str, small_disk: Path, servers: Servers, tmp_path: Path
) -> None:
    server = servers.start(kind, root=small_disk)
    try:
        installation = Installation(tmp_path)
        source = installation.add_site(server)
        write_tree(source, SITE)
        assert installation.run("import", "example").code == 0
        live = small_disk / "public_html"
        published = everything_below(live)
        assert tree_of(live) == tree_of(source)

        write_tree(source, {"index.html": "new home", "film.bin": os.urandom(1_500_000)})
        outcome = installation.run("import", "example")
        assert_clear(
            installation,
            outcome,
            1,
            "example: incomplete, nothing was published",
            SAID_WHEN_FULL[kind],
            "disk or quota",
            "import again.",
            secrets=[PASSWORD],
        )
        # What is said of a file is its own.
        assert "index.html: storing film.bin" not in outcome.output
        now = everything_below(live)
        assert {path: now.get(path) for path in published} == published
        assert tree_of(live).keys() <= published.keys()

        (source / "film.bin").unlink()
        shutil.rmtree(next(path for path in (live / BASE_NAME).iterdir() if path.is_dir()))
        again = installation.run("import", "example")
        assert_clear(installation, again, 0, "1 uploaded", secrets=[PASSWORD])
        assert tree_of(live) == tree_of(source)
    finally:
        server.remove()
