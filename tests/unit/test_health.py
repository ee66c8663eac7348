"""What `siteferry-probe` makes of health files."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from siteferry.errors import ConfigurationError
from siteferry.health import place
from siteferry.health.probe import NOBODY, NOT_SO, OK, Question, WrongUsageError
from siteferry.health.record import HealthFile
from siteferry.settings import load_settings
from siteferry.settings.models import default_state_dir
from tests.health_files import ask, dead_process, health_file, put
from tests.health_files import folder as folder
from tests.health_files import well as well
from tests.holdings import wait_until

ROOT = Path(__file__).resolve().parents[2]


# -- who has gone ----------------------------------------------------------------------------------


def test_a_process_that_has_gone_does_not_count(folder: Path) -> None:
    put(folder, pid=dead_process())
    status, line = ask(folder, "alive")
    assert status == NOT_SO
    assert line.endswith(f"has written in {folder}; gone: worker here-1-ab")


def test_a_process_that_nobody_has_waited_for_has_gone_as_well(folder: Path) -> None:
    process = subprocess.Popen(["true"])
    wait_until(lambda: place.started_of(process.pid) is None, "it lives", 5)
    put(folder, pid=process.pid)
    assert "gone: worker" in ask(folder, "alive")[1]
    process.wait()


def test_another_process_with_the_same_number_is_not_taken_for_it(folder: Path) -> None:
    """As after a restart of the machine, or in a container, where numbers begin anew."""
    put(folder, started="1")
    assert "gone: worker" in ask(folder, "alive")[1]


def test_files_of_another_container_that_shares_the_folder_are_passed_over(folder: Path) -> None:
    put(folder, host="elsewhere", node="elsewhere-1-cd", why_not_alive="broken")
    put(folder)
    assert ask(folder, "alive") == (OK, "alive: worker here-1-ab")


def test_a_container_of_the_same_name_that_shares_the_folder_is_passed_over(folder: Path) -> None:
    """As another of one pod: its processes have numbers of their own."""
    put(folder, node="other", pid_namespace="pid:[1]", why_not_alive="broken")
    put(folder)
    assert ask(folder, "alive") == (OK, "alive: worker here-1-ab")


@pytest.mark.parametrize("told", [None, ""])
def test_a_file_that_does_not_tell_its_namespace_counts_by_its_host(
    folder: Path, told: str | None
) -> None:
    """Of an earlier version, or where the system does not tell."""
    put(folder, pid_namespace=told)
    assert ask(folder, "alive")[0] == OK


# -- what is said ----------------------------------------------------------------------------------


def test_a_file_that_is_old_is_one_of_a_process_that_hangs(folder: Path) -> None:
    put(folder, written=time.monotonic() - 14.2)
    assert ask(folder, "alive") == (NOT_SO, "not alive: written 14 s ago (worker here-1-ab)")
    assert ask(folder, "ready") == (NOT_SO, "not ready: written 14 s ago (worker here-1-ab)")
    assert ask(folder, "alive", "--within", "20")[0] == OK


def test_a_step_of_the_wall_clock_ends_nobody(folder: Path) -> None:
    put(folder, time="1970-01-01T00:00:00+00:00")
    os.utime(folder / "worker-here-1-ab.json", (0, 0))
    assert ask(folder, "alive")[0] == OK


def test_who_is_not_alive_is_not_ready_for_the_same_reason(folder: Path) -> None:
    put(folder, why_not_alive="the heartbeat has hung for 130 s", why_not_ready="other")
    reason = "the heartbeat has hung for 130 s (worker here-1-ab)"
    assert ask(folder, "alive") == (NOT_SO, f"not alive: {reason}")
    assert ask(folder, "ready") == (NOT_SO, f"not ready: {reason}")


def test_of_several_each_must_be_well(folder: Path) -> None:
    for number in range(3):
        put(folder, node=f"w{number}", why_not_ready="it was told to stop" if number else None)
    assert ask(folder, "alive") == (OK, "alive: worker w0, worker w1, worker w2")
    assert ask(folder, "ready") == (
        NOT_SO, "not ready: it was told to stop (worker w1, and 1 more)",
    )  # fmt: skip


def test_where_nobody_has_written_there_is_nobody_to_ask(folder: Path) -> None:
    """That is no answer of a process: it was never started, stopped on purpose, or is elsewhere."""
    nobody = (
        NOBODY,
        f"not alive: no process of siteferry that runs has written in {folder}",
    )
    assert ask(folder, "alive") == nobody
    put(folder, host="elsewhere", node="elsewhere-1-cd")
    assert ask(folder, "alive") == nobody
    put(folder, kind="beat")
    assert ask(folder, "ready", "--kind", "worker")[0] == NOBODY
    put(folder, pid=dead_process())
    assert ask(folder, "ready", "--kind", "worker")[0] == NOT_SO


def test_a_folder_that_cannot_be_looked_into_has_nobody_to_ask(folder: Path) -> None:
    folder.parent.mkdir()
    folder.touch()
    assert ask(folder, "alive") == (NOBODY, f"not alive: {folder}: Not a directory")


def test_one_kind_and_one_process_can_be_asked_for(folder: Path) -> None:
    put(folder, why_not_ready="busy stopping")
    put(folder, kind="beat", node="b")
    assert ask(folder, "ready", "--kind", "beat") == (OK, "ready: beat b")
    assert ask(folder, "ready", "--kind=worker")[0] == NOT_SO
    assert ask(folder, "alive", "--pid", str(os.getpid()))[0] == OK
    assert ask(folder, "alive", "--pid", "1") == (
        NOBODY,
        f"not alive: no process of siteferry with number 1 that runs has written in {folder}",
    )


def test_a_file_that_is_none_of_ours_or_is_broken_is_passed_over(folder: Path) -> None:
    put(folder)
    for name, text in (("a.json", "{"), ("b.json", "[]"), ("c.json", '{"pid": "x"}')):
        (folder / name).write_text(text)
    assert ask(folder, "alive") == (OK, "alive: worker here-1-ab")


def test_a_file_that_cannot_be_read_speaks_for_nobody(folder: Path) -> None:
    put(folder)
    (folder / "a.json").mkdir()
    (folder / "b.json").symlink_to("b.json")
    (folder / "c.json").write_text("[" * 4096)
    assert ask(folder, "alive") == (OK, "alive: worker here-1-ab")


def test_who_reads_while_it_is_written_always_finds_a_whole_file(folder: Path) -> None:
    file = health_file(folder)
    file.start()
    over = threading.Event()

    def hurry() -> None:
        while not over.is_set():
            file.tell()

    thread = threading.Thread(target=hurry)
    thread.start()
    try:
        assert {ask(folder, "alive")[0] for _ in range(2000)} == {OK}
    finally:
        over.set()
        thread.join()
        file.close()


def test_health_files_are_below_the_state_directory_or_where_settings_and_environment_say(
    tmp_path: Path,
) -> None:
    def directory(text: str, **environ: str) -> Path:
        file = tmp_path / "siteferry.yaml"
        file.write_text(text)
        return load_settings(file, environ).health_directory

    assert directory("state_dir: state") == tmp_path / "state/health"
    assert directory("{state_dir: state, health_dir: health}") == tmp_path / "health"
    named = Path("/run/siteferry")
    assert directory("health_dir: health", SITEFERRY_HEALTH_DIR=str(named)) == named
    with pytest.raises(ConfigurationError, match="SITEFERRY_HEALTH_DIR: must be an absolute path"):
        directory("", SITEFERRY_HEALTH_DIR="run/siteferry")


# -- the command line ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        "", "well", "alive ready", "alive --kind flower", "alive --pid x", "alive --pid",
        "alive --within 0", "alive --within soon", "alive --quiet",
    ],
)  # fmt: skip
def test_wrong_usage_ends_with_two_and_says_what_is_wrong(arguments: str) -> None:
    done = run_probe(*arguments.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("siteferry-probe: ")
    assert "usage: siteferry-probe alive|ready" in done.stderr


def test_the_folder_is_the_one_of_the_environment_else_the_default_of_the_settings() -> None:
    def directory(**environ: str) -> str:
        return Question(["alive"], environ).directory

    assert directory(SITEFERRY_HEALTH_DIR="/run/siteferry", HOME="/home/u") == "/run/siteferry"
    for environ in ({"HOME": "/home/u"}, {"XDG_STATE_HOME": "/var/s"}, {"XDG_STATE_HOME": "s"}):
        assert directory(**environ) == f"{default_state_dir(environ)}/health"
    with pytest.raises(WrongUsageError, match="must be an absolute path"):
        directory(SITEFERRY_HEALTH_DIR="run/siteferry")


def run_probe(*arguments: str, code: str = "") -> subprocess.CompletedProcess[str]:
    start = ["-m", "siteferry.health.probe"] if not code else ["-c", code]
    return subprocess.run(
        [sys.executable, *start, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=20
    )


def test_the_help_tells_every_option() -> None:
    done = run_probe("--help")
    assert done.returncode == 0
    assert set(re.findall(r"--\w+", done.stdout)) == {"--kind", "--pid", "--dir", "--within"}


def test_a_probe_loads_next_to_nothing(folder: Path, well: HealthFile) -> None:
    """No Redis, no command line, no settings, and opens no socket: what it loads beyond a bare
    Python is json and what that needs."""
    code = (
        "import sys; bare = set(sys.modules); from siteferry.health.probe import *; import atexit;"
        "new = lambda: sorted({n.partition('.')[0] for n in set(sys.modules) - bare});"
        "atexit.register(lambda: print(*new())); main()"
    )
    done = run_probe("alive", "--dir", str(folder), code=code)
    said, loaded = done.stdout.splitlines()
    assert said == "alive: worker here-1-ab"
    assert set(loaded.split()) - {"json", "_json", "re", "siteferry", "__future__", "atexit"} <= {
        "_collections", "_functools", "_operator", "_sre", "collections", "copyreg", "enum",
        "functools", "itertools", "keyword", "operator", "reprlib", "types",
    }  # fmt: skip


def test_the_probes_in_the_documents_are_such() -> None:
    text = (ROOT / "docs/operations.md").read_text()
    found = re.findall(r"siteferry-probe((?: [\w./-]+)+)", text)
    shown = [words.split() for words in found]
    listed = re.findall(r'\["siteferry-probe", (.*?)\]', text)
    shown += [re.findall(r'"([^"]+)"', words) for words in listed]
    assert len(shown) > 3
    for words in shown:
        assert Question(words, {}).word in ("alive", "ready")
