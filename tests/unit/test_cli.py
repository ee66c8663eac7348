"""The command line itself: what it loads, what it refuses, how errors come out."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from siteferry.cli import COMMANDS, SUMMARIES
from tests.installation import REPOSITORY, Installation
from tests.servers.base import PASSWORD


def python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY
    )
    return done.stdout


def test_help_imports_neither_celery_nor_redis_nor_an_sdk() -> None:
    """Start-up is part of the speed."""
    loaded = python(
        "import sys; from siteferry.cli import cli\n"
        "try: cli(['--help'])\n"
        "except SystemExit: pass\n"
        "print('LOADED', *sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    heavy = {"celery", "kombu", "redis", "boto3", "hvac", "google", "azure", "pydantic", "rich"}
    heavy |= {"cronsim"}
    assert heavy.isdisjoint(loaded.rpartition("LOADED")[2].split())


def test_importing_siteferry_does_nothing() -> None:
    before = "import sys; before = set(sys.modules); import siteferry; "
    assert python(before + "print(sorted(set(sys.modules) - before))") == "['siteferry']\n"


def test_every_command_has_a_summary_and_can_be_loaded() -> None:
    assert list(COMMANDS) == list(SUMMARIES)
    for name in COMMANDS:
        done = subprocess.run(
            [sys.executable, "-m", "siteferry", name, "--help"],
            capture_output=True, text=True, cwd=REPOSITORY,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "Usage:" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["import"], "name at least one website"),
        (["import", "a", "--all"], "name at least one website"),
        (["import", "nowhere"], "nowhere"),
        (["worker"], "needs to know its Redis"),
        (["beat"], "needs to know its Redis"),
        (["schedule", "list", "nowhere"], "nowhere"),
        (["--redis", f"redis://:{PASSWORD}@h/0", "runs"], "SITEFERRY_REDIS_PASSWORD"),
        (["no-such-command"], "No such command"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_what_is_wrong(
    arguments: list[str], said: str, tmp_path: Path
) -> None:
    result = Installation(tmp_path).run(*arguments)
    assert result.code == 2, result.output
    assert said in result.stderr
    assert PASSWORD not in result.output
    assert "Traceback" not in result.output


def test_a_detached_import_needs_a_redis_that_stays(tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    (installation.folder / "config/websites/a.yaml").write_text("ftp: {host: h}\n")
    result = installation.run("import", "a", "--detach")
    assert result.code == 2
    assert "SITEFERRY_REDIS_URL" in result.stderr


def test_a_command_that_leaves_at_once_loses_neither_output_nor_what_is_to_be_done_at_the_end() -> (
    None
):
    program = (
        "import atexit, sys; atexit.register(lambda: sys.stderr.write('last words'));"
        "sys.argv = ['siteferry', '--version'];"
        "from siteferry.cli import main; sys.stdout.write('first words, '); main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.startswith("first words, siteferry, version")
    assert (done.stderr, done.returncode) == ("last words", 0)


def test_a_command_that_leaves_at_once_waits_for_a_thread_that_still_works() -> None:
    program = (
        "import sys, threading\n"
        "def work():\n"
        "    threading.main_thread().join()\n"
        "    print('still there')\n"
        "threading.Thread(target=work).start(); sys.argv = ['siteferry', 'nosuch']\n"
        "from siteferry.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("still there\n", 2)


def test_a_check_that_finds_a_mistake_ends_with_2_as_a_process(tmp_path: Path) -> None:
    site = Installation(tmp_path)
    assert site.run("config", "check").code == 0
    (tmp_path / "config/websites/shop.yaml").write_text("ftp: {prot: 21}\n")
    assert site.run("config", "check").code == 2


def test_a_path_that_is_left_out_ends_with_1_as_a_process(tmp_path: Path) -> None:
    site = Installation(tmp_path)
    (tmp_path / "config/websites/shop.yaml").write_text(
        "ftp: {host: ftp.example.com, username: u}\nexclude: ['*.map']\n"
    )
    (tmp_path / "workspaces/shop/output").mkdir(parents=True)
    for name, code in (("a.map", 1), ("a.css", 0)):
        (tmp_path / "workspaces/shop/output" / name).touch()
        assert site.run("explain", "shop", name).code == code


@pytest.mark.parametrize("closed", ["1", "2"])
def test_a_command_that_was_started_without_a_stream_ends_as_it_should(closed: str) -> None:
    command = f'exec "{sys.executable}" -m siteferry --version {closed}>&-'
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, cwd=REPOSITORY)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.needs_root
def test_a_command_that_is_a_container_s_first_process_ends_when_it_is_told(
    tmp_path: Path,
) -> None:
    """The kernel keeps a signal without a handler from it, so it is sent until there is one."""
    installation = Installation(tmp_path)
    process = subprocess.Popen(
        [
            *("unshare", "--pid", "--fork", "--kill-child", "--mount-proc"),
            *installation.argv("credential", "add", "example"),
        ],
        env=installation.env(),
        cwd=installation.folder,
        stdin=subprocess.PIPE,  # open, and nothing comes
        stderr=subprocess.PIPE,
        text=True,
    )
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    deadline = time.monotonic() + 20
    with process:
        while process.poll() is None and time.monotonic() < deadline:
            for child in children.read_text().split():
                os.kill(int(child), signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.05)
        process.kill()
        if process.returncode == 1:
            assert process.stderr is not None
            pytest.skip(f"no namespaces here: {process.stderr.read()}")
    assert process.returncode == 128 + signal.SIGTERM
