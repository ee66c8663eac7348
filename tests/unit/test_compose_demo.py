"""The FTP server of the profile `demo`, as a process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.installation import REPOSITORY

PROGRAM = REPOSITORY / "config/compose/demo/ftp_server.py"


def served_until_told(folder: Path, source: Path) -> tuple[int, str]:
    """Its exit code after SIGTERM, and what it logged, from when it listened on."""
    (folder / "root").mkdir()
    (folder / "password").write_text("Ferry-7319\n")
    command = [sys.executable, str(PROGRAM), "0", str(folder / "root")]
    process = subprocess.Popen(
        [*command, str(folder / "password"), str(source)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    with process:
        log = []
        assert process.stderr is not None
        for line in process.stderr:
            log.append(line)
            if ">>> starting" in line:
                process.send_signal(signal.SIGTERM)
        code = process.wait(20)
    return code, "".join(log)


def test_it_writes_the_example_and_ends_in_order_when_it_is_told(tmp_path: Path) -> None:
    source = tmp_path / "example/output"
    code, log = served_until_told(tmp_path, source)
    assert code == 0, log
    assert sum(path.is_file() for path in source.rglob("*")) == 248


def test_where_the_example_cannot_be_written_it_says_so_and_serves(
    tmp_path: Path,
) -> None:
    (tmp_path / "example").write_text("no folder")
    source = tmp_path / "example/output"
    code, log = served_until_told(tmp_path, source)
    assert code == 0, log
    assert f"there is no example website in {source}: Not a directory" in log
