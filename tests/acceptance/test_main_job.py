"""The main job on a real website: the real command, its private Redis and worker, real servers."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.installation import Installation, left_over, tree_of
from tests.servers.base import FtpServer

FILES = 2521
BYTES = 51_197_800


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["vsftpd", "pureftpd", "proftpd"])
def test_wordpress_arrives_whole_and_a_second_import_sends_nothing(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, wordpress_tree: Path
) -> None:
    """Also with a new Redis and new modification times on every file: content is the truth."""
    factory: Callable[..., FtpServer] = request.getfixturevalue(kind)
    server = factory().fresh()
    installation = Installation(tmp_path)
    source = installation.add_site(server)
    shutil.copytree(wordpress_tree, source, dirs_exist_ok=True)

    first = installation.run("import", "example", "--json", "--quiet", timeout=120)
    assert first.code == 0, first.output
    stats = first.json["stats"]
    assert (stats["uploaded"], stats["failed"], stats["skipped"]) == (FILES, 0, 0)
    assert stats["bytes"] == BYTES
    assert stats["dirs_created"] == 257
    live = server.root / "public_html"
    assert tree_of(live) == tree_of(source)
    assert left_over(live) == []

    installation.forget_everything()
    for path in source.rglob("*"):
        os.utime(path)
    second = installation.run("import", "example", "--json", "--quiet", timeout=120)
    assert second.code == 0, second.output
    stats = second.json["stats"]
    assert (stats["uploaded"], stats["failed"], stats["skipped"]) == (0, 0, FILES)


def test_a_terminal_less_import_prints_plain_lines_and_a_report(
    pyftpd_server: FtpServer, tmp_path: Path
) -> None:
    installation = Installation(tmp_path)
    (installation.add_site(pyftpd_server) / "index.html").write_text("hello")
    result = installation.run("import", "example")
    assert result.code == 0, result.output
    assert "\x1b" not in result.output
    assert "1 uploaded, 0 already up to date, 0 failed" in result.stdout


def test_status_and_runs_tell_of_an_import_afterwards(
    pyftpd_server: FtpServer, tmp_path: Path
) -> None:
    installation = Installation(tmp_path)
    (installation.add_site(pyftpd_server) / "index.html").write_text("hello")
    run = installation.run("import", "example", "--json", "-q").json["run"]
    status = installation.run("status", run, "--json").json
    assert (status["run"], status["state"], status["stats"]["uploaded"]) == (run, "done", 1)
    assert [entry["run"] for entry in installation.run("runs", "--json").json] == [run]
    watched = installation.run("watch", run, "--json")
    assert (watched.code, watched.json["run"]) == (0, run)
