"""Redis away, no worker, a target that another run holds: said in time, with its exit code."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.clear_errors import SITE, assert_clear, closed_port, everything_below, put_old_site
from tests.installation import Installation, write_tree
from tests.private_redis import RedisServer
from tests.servers.base import PASSWORD, FtpServer


@pytest.mark.slow
def test_a_redis_that_is_down_ends_with_code_7_after_ten_seconds(
    pyftpd_server: FtpServer, tmp_path: Path
) -> None:
    put_old_site(pyftpd_server)
    site = Installation(tmp_path)
    write_tree(site.add_site(pyftpd_server), SITE)
    before = everything_below(pyftpd_server.root)
    with closed_port() as port:
        begin = time.monotonic()
        outcome = site.run("--redis", f"redis://127.0.0.1:{port}", "import", "example")
        seconds = time.monotonic() - begin
    assert_clear(
        site,
        outcome,
        7,
        "Redis cannot be reached",
        f"127.0.0.1:{port}",
        "Connection refused",
        "Start it, or check --redis and SITEFERRY_REDIS_URL",
        secrets=[PASSWORD],
    )
    assert seconds < 14
    assert everything_below(pyftpd_server.root) == before


@pytest.mark.slow
def test_without_a_worker_the_command_ends_with_code_7_and_ends_its_run(
    pyftpd_server: FtpServer, redis_server: RedisServer, tmp_path: Path
) -> None:
    put_old_site(pyftpd_server)
    installation = Installation(tmp_path, redis=redis_server.url)
    write_tree(installation.add_site(pyftpd_server), SITE)
    before = everything_below(pyftpd_server.root)
    begin = time.monotonic()
    outcome = installation.run("import", "example")
    seconds = time.monotonic() - begin
    assert_clear(
        installation,
        outcome,
        7,
        "no worker has answered for ten seconds",
        "Start one with: siteferry worker",
        secrets=[PASSWORD],
    )
    assert 10 <= seconds < 16
    assert everything_below(pyftpd_server.root) == before
    (run,) = installation.run("runs", "--json").json
    assert (run["state"], run["error"]["kind"]) == ("failed", "NoWorker")

    # The target is free again; a worker that comes too late must not carry out the ended run.
    with installation.process("worker"):
        following = installation.run("import", "example", "--json", "--quiet")
    assert following.code == 0, following.output
    assert following.json["stats"]["uploaded"] == len(SITE)
    assert len(installation.run("runs", "--json").json) == 2


def test_a_second_run_for_the_same_target_ends_with_code_5(
    pyftpd_server: FtpServer, redis_server: RedisServer, tmp_path: Path
) -> None:
    installation = Installation(tmp_path, redis=redis_server.url)
    write_tree(installation.add_site(pyftpd_server), SITE)
    first = installation.run("import", "example", "--detach")
    assert first.code == 0, first.output
    run = first.stdout.strip()
    second = installation.run("import", "example")
    assert_clear(
        installation,
        second,
        5,
        f"run {run} holds the target of example",
        f"Wait for it (siteferry watch {run}), then start again",
        secrets=[PASSWORD],
    )
    assert [entry["run"] for entry in installation.run("runs", "--json").json] == [run]
    assert everything_below(pyftpd_server.root) == {}


@pytest.mark.parametrize("as_json", [False, True])
def test_if_not_running_succeeds_quietly_while_another_run_is_under_way(
    as_json: bool, pyftpd_server: FtpServer, redis_server: RedisServer, tmp_path: Path
) -> None:
    installation = Installation(tmp_path, redis=redis_server.url)
    write_tree(installation.add_site(pyftpd_server), SITE)
    run = installation.run("import", "example", "--detach").stdout.strip()
    arguments = ["import", "example", "--if-not-running", *(["--json"] if as_json else [])]
    second = installation.run(*arguments)
    assert_clear(installation, second, 0, f"run {run} holds the target", secrets=[PASSWORD])
    assert second.stdout == ("null\n" if as_json else "")
    assert [entry["run"] for entry in installation.run("runs", "--json").json] == [run]
