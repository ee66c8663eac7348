"""The worker beside a command: kept alive as long as the command lives, and no longer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

import pytest

from siteferry.embedded import PARENT_PIPE, EmbeddedWorker, watch_parent
from siteferry.errors import NoWorker

ROOT = Path(__file__).parents[2]

WATCHING = """
import os, sys
from siteferry.embedded import PARENT_PIPE, watch_parent
news = open(sys.argv[1], "w", buffering=1)
def gone():
    news.write("gone\\n")
    os._exit(0)
watch_parent(int(os.environ[PARENT_PIPE]), gone)
news.write(f"{os.getpid()}\\n")
import signal
while True:
    signal.pause()
"""

TERMINATED = """
import signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
open(sys.argv[1], "w").write("ready\\n")
signal.sigwait({signal.SIGTERM})
print("ended in good order")
"""

INTERRUPTING = """
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
open(sys.argv[1], "w").write("ready\\n")
signal.sigwait({signal.SIGTERM})
os.kill(os.getppid(), signal.SIGINT)
signal.pause()
"""

DEAF = """
import signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
open(sys.argv[1], "w").write("ready\\n")
while True:
    signal.pause()
"""

COMMAND = """
import os, signal, sys
from siteferry.embedded import EmbeddedWorker
worker = EmbeddedWorker(sys.argv[1:], os.environ, None)
worker.start()
first = worker.pid
if os.environ.get("RESTART_FIRST"):
    os.kill(first, signal.SIGKILL)
    while worker.pid == first:
        worker.check()
print(worker.pid, flush=True)
signal.pause()
"""


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    """Where the worker of a test writes its news."""
    path = tmp_path / "news"
    os.mkfifo(path)
    return path


@pytest.fixture
def news(fifo: Path) -> Iterator[TextIO]:
    """The reading end, which never meets an end of file."""
    with open(os.open(fifo, os.O_RDWR), encoding="utf-8", newline="\n") as stream:  # noqa: PTH123 (an fd)
        yield stream


def worker_of(
    script: str, *arguments: Path, log: Path, grace_seconds: float = 60
) -> EmbeddedWorker:
    argv = [sys.executable, "-c", script, *map(str, arguments)]
    return EmbeddedWorker(argv, {**os.environ, "PYTHONPATH": str(ROOT)}, log, grace_seconds)


def check_until(worker: EmbeddedWorker, reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not reached():
        worker.check()
        assert time.monotonic() < deadline


def test_a_worker_that_was_killed_is_started_again(
    fifo: Path, news: TextIO, tmp_path: Path
) -> None:
    with worker_of(WATCHING, fifo, log=tmp_path / "log") as worker:
        first = int(news.readline())
        assert worker.pid == first
        worker.check()
        assert worker.pid == first
        os.kill(first, signal.SIGKILL)
        check_until(worker, lambda: worker.pid != first)
        assert worker.last_exit == "killed by SIGKILL"
        assert int(news.readline()) == worker.pid


def test_the_sixth_death_within_a_minute_is_the_end_and_tells_the_last_log_lines(
    tmp_path: Path,
) -> None:
    log = tmp_path / "worker.log"
    worker = EmbeddedWorker(
        ["/bin/sh", "-c", "echo 'cannot find the broker' >&2; exit 3"], {}, log, clock=lambda: 0.0
    )
    worker.start()
    with pytest.raises(NoWorker) as caught:
        check_until(worker, lambda: False)
    worker.stop()
    assert log.read_text().splitlines() == ["cannot find the broker"] * 6
    assert "exit status 3" in caught.value.message
    assert "cannot find the broker" in caught.value.message
    assert str(log) in caught.value.next_step
    assert caught.value.exit_code == 7


def test_five_deaths_in_every_minute_are_borne(tmp_path: Path) -> None:
    now = 0.0

    def clock() -> float:
        nonlocal now
        now += 12.0
        return now

    log = tmp_path / "worker.log"
    worker = EmbeddedWorker(["/bin/sh", "-c", "echo begun"], {}, log, clock=clock)
    worker.start()
    check_until(worker, lambda: now >= 12.0 * 20)
    worker.stop()
    assert log.read_text().count("begun") >= 20


@pytest.mark.parametrize("restarted", [False, True])
def test_a_worker_ends_when_its_command_is_killed(fifo: Path, restarted: bool) -> None:
    """Also one that was started in place of another."""
    argv = [sys.executable, "-c", COMMAND, sys.executable, "-c", WATCHING, str(fifo)]
    environ = {**os.environ, "RESTART_FIRST": "1" if restarted else ""}
    with subprocess.Popen(argv, cwd=ROOT, env=environ, stdout=subprocess.PIPE) as command:
        assert command.stdout is not None
        keep_open = os.open(fifo, os.O_RDWR)
        with fifo.open() as stream:
            pid = int(command.stdout.readline())
            while int(stream.readline()) != pid:  # the first one may have written, too
                pass
            os.kill(command.pid, signal.SIGKILL)
            os.close(keep_open)
            assert stream.read() == "gone\n"  # and at the end of the file the worker has ended


def test_the_terminals_interrupt_does_not_reach_the_worker(
    fifo: Path, news: TextIO, tmp_path: Path
) -> None:
    """It has a session of its own."""
    with worker_of(WATCHING, fifo, log=tmp_path / "log"):
        pid = int(news.readline())
        assert os.getsid(pid) == pid


def test_a_worker_is_asked_to_end_and_given_the_time_for_it(
    fifo: Path, news: TextIO, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    worker = worker_of(TERMINATED, fifo, log=log)
    worker.start()
    news.readline()
    worker.stop()
    assert worker.last_exit == "exit status 0"
    assert log.read_text() == "ended in good order\n"
    assert worker.pid is None


def test_a_worker_that_does_not_end_within_the_grace_is_killed(
    fifo: Path, news: TextIO, tmp_path: Path
) -> None:
    worker = worker_of(DEAF, fifo, log=tmp_path / "log", grace_seconds=0.1)
    worker.start()
    news.readline()
    worker.stop()
    assert worker.last_exit == "killed by SIGKILL"


def test_stopping_at_once_gives_no_time(fifo: Path, news: TextIO, tmp_path: Path) -> None:
    log = tmp_path / "log"
    worker = worker_of(TERMINATED, fifo, log=log)
    worker.start()
    news.readline()
    worker.stop(at_once=True)
    assert worker.last_exit == "killed by SIGKILL"
    assert log.read_text() == ""


def test_an_interrupt_while_waiting_for_the_end_kills_the_worker(
    fifo: Path, news: TextIO, tmp_path: Path
) -> None:
    """The second Ctrl-C of an impatient user; here it comes once the worker has its SIGTERM."""
    worker = worker_of(INTERRUPTING, fifo, log=tmp_path / "log")
    worker.start()
    news.readline()
    pid = worker.pid
    with pytest.raises(KeyboardInterrupt):
        worker.stop()
    assert worker.last_exit == "killed by SIGKILL"
    assert pid is not None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_stopping_a_worker_that_has_died_or_was_never_started_is_quiet(tmp_path: Path) -> None:
    worker = EmbeddedWorker(["/bin/sh", "-c", "exit 4"], {}, tmp_path / "log")
    worker.stop()
    worker.start()
    assert worker.pid is not None
    os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)
    worker.stop()
    assert worker.last_exit == "exit status 4"
    worker.stop()


def test_a_worker_gets_only_the_environment_that_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OF_THE_COMMAND", "1")
    log = tmp_path / "log"
    worker = EmbeddedWorker(["/bin/sh", "-c", "env"], {"GIVEN": "yes"}, log)
    worker.start()
    assert worker.pid is not None
    os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)
    worker.stop()
    assert "GIVEN=yes\n" in log.read_text()
    assert f"{PARENT_PIPE}=" in log.read_text()
    assert "OF_THE_COMMAND" not in log.read_text()


def test_without_a_log_the_worker_shares_only_stderr_with_its_command() -> None:
    """On stdout there may be JSON, on stdin the answer to a question."""
    script = (
        "import os; from siteferry.embedded import EmbeddedWorker\n"
        "worker = EmbeddedWorker(['/bin/sh', '-c', 'echo a line; cat'], {}, None); worker.start()\n"
        "os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT); worker.stop()"
    )
    shown = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        input="yes",
        capture_output=True,
        text=True,
        check=True,
    )
    assert (shown.stdout, shown.stderr) == ("", "a line\n")


def test_a_worker_that_cannot_be_started_is_an_error_at_once(tmp_path: Path) -> None:
    worker = EmbeddedWorker([str(tmp_path / "none")], {}, tmp_path / "log")
    with pytest.raises(NoWorker, match="none cannot be started"):
        worker.start()
    worker.stop()


def test_only_a_pipe_can_be_watched(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file, pytest.raises(ValueError, match="is not a pipe"):
        watch_parent(file.fileno(), lambda: None)
    with pytest.raises(ValueError, match="is not open"):
        watch_parent(1_000_000, lambda: None)


def test_the_watch_calls_back_once_when_the_other_end_is_closed() -> None:
    read_end, write_end = os.pipe()
    gone = threading.Event()
    watch_parent(read_end, gone.set)
    assert not gone.is_set()
    os.close(write_end)
    assert gone.wait(20)
