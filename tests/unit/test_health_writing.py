"""How a process writes its health file, whatever is in the way."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from siteferry.health.probe import NOT_SO, OK
from siteferry.health.record import Health, HealthFile, remove_dead
from tests.health_files import ask, dead_process, health_file, only_record, put
from tests.health_files import folder as folder
from tests.health_files import well as well
from tests.holdings import wait_until
from tests.installation import REPOSITORY


def test_the_file_says_who_writes_it_and_how_that_is(well: HealthFile, folder: Path) -> None:
    record = only_record(folder)
    assert [record[key] for key in ("kind", "node", "version", "pid", "in_hand")] == [
        "worker", "here-1-ab", "1.2.3", os.getpid(), 3,
    ]  # fmt: skip
    assert (record["why_not_alive"], record["why_not_ready"]) == (None, None)
    assert ask(folder, "ready") == (OK, "ready: worker here-1-ab")


def test_the_file_is_written_again_and_again_and_removed_at_the_end(folder: Path) -> None:
    file = health_file(folder)
    file.start()
    first = only_record(folder)["written"]
    wait_until(lambda: only_record(folder)["written"] > first, "once is not enough", 5)
    file.close()
    assert list(folder.iterdir()) == []
    file.close()


def test_what_has_changed_is_written_at_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not when the thread comes round, which takes an hour here."""
    monkeypatch.setattr("siteferry.health.record.WRITE_SECONDS", 3600.0)
    file = health_file(folder)
    file.start()
    file.ask = lambda: Health(why_not_ready="it was told to stop")
    file.tell()
    wait_until(lambda: ask(folder, "ready")[0] == NOT_SO, "it was not written", 30)
    assert ask(folder, "ready")[1] == "not ready: it was told to stop (worker here-1-ab)"
    assert ask(folder, "alive")[0] == OK
    file.close()


def test_the_folder_and_its_parents_are_closed_to_others(well: HealthFile, folder: Path) -> None:
    """The private server refuses a state directory that is open."""
    assert [path.stat().st_mode & 0o777 for path in (folder.parent, folder)] == [0o700, 0o700]


def test_a_folder_that_cannot_be_made_is_warned_of_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    file = health_file(tmp_path / "file/health")
    with caplog.at_level(logging.WARNING):
        file.start()
    file.close()
    assert "no health file, so probes fail" in caplog.text


def test_a_file_that_cannot_be_written_is_tried_again_each_second_and_warned_of_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("siteferry.health.record.WRITE_SECONDS", 0.01)
    in_the_way = folder / "worker-here-1-ab.json"
    in_the_way.mkdir(parents=True)
    tries = threading.Semaphore(0)

    def count() -> Health:
        tries.release()
        return Health()

    file = HealthFile(folder, "worker", "here-1-ab", "1.2.3", count)
    file.start()
    assert all(tries.acquire(timeout=30) for _ in range(4))
    in_the_way.rmdir()
    wait_until(lambda: ask(folder, "alive")[0] == OK, "it was not tried again", 30)
    file.close()
    assert caplog.text.count("no health file") == 1


def test_a_folder_that_can_be_made_later_is_made_then(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    file = health_file(tmp_path / "file/health")
    file.start()
    (tmp_path / "file").unlink()
    wait_until(lambda: ask(tmp_path / "file/health", "alive")[0] == OK, "it was not made", 30)
    file.close()


def test_a_look_that_fails_is_told_and_makes_nobody_dead(
    well: HealthFile, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> Health:
        raise ZeroDivisionError

    well.ask = fail
    well.tell()
    wait_until(lambda: ask(folder, "ready")[0] == NOT_SO, "it was not written", 5)
    assert "the look at itself failed: ZeroDivisionError" in ask(folder, "ready")[1]
    assert ask(folder, "alive")[0] == OK
    well.tell()
    wait_until(lambda: ask(folder, "alive")[0] == OK, "it was not written again", 5)
    assert caplog.text.count("the look at this process failed") == 1


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "none", disk], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("nothing can be mounted here")
    yield disk
    subprocess.run(["umount", disk], check=True)


def fill(disk: Path) -> None:
    with pytest.raises(OSError, match="No space left"):
        (disk / "ballast").write_bytes(bytes(1024 * 1024))


@pytest.mark.needs_root
def test_a_full_disk_makes_nobody_dead(disk: Path) -> None:
    file = health_file(disk)
    file.start()
    fill(disk)
    before = only_record(disk)["written"]
    wait_until(lambda: only_record(disk)["written"] > before, "it stopped", 5)
    assert ask(disk, "alive")[0] == OK
    file.close()


@pytest.mark.needs_root
def test_a_disk_that_is_full_at_the_start_is_written_when_there_is_room(
    disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill(disk)
    file = health_file(disk)
    file.start()
    assert "No space left on device" in caplog.text
    (disk / "ballast").unlink()
    wait_until(lambda: ask(disk, "alive")[0] == OK, "it was not tried again", 30)
    file.close()


def test_who_starts_removes_what_the_dead_have_left_and_nothing_else(folder: Path) -> None:
    put(folder, node="dead", pid=dead_process())
    (folder / "worker-dead.part").touch()
    put(folder, node="elsewhere", host="elsewhere", pid=dead_process())
    put(folder, node="living")
    (folder / "notes.txt").write_text("not ours")
    file = health_file(folder)
    file.start()
    names = {path.name for path in folder.iterdir() if path.suffix != ".part"}
    assert names == {
        "notes.txt", "worker-elsewhere.json", "worker-here-1-ab.json", "worker-living.json",
    }  # fmt: skip
    assert not (folder / "worker-dead.part").exists()
    file.close()


def test_what_cannot_be_removed_keeps_nobody_from_writing(folder: Path) -> None:
    for node in ("a", "b"):
        put(folder, node=node, pid=dead_process())
        (folder / f"worker-{node}.part").mkdir()
    file = health_file(folder)
    file.start()
    assert {path.name for path in folder.glob("*.json")} == {"worker-here-1-ab.json"}
    before = only_record(folder)["written"]
    wait_until(lambda: only_record(folder)["written"] > before, "once is not enough", 30)
    file.close()


def test_a_file_of_another_container_is_removed_when_nobody_has_written_it_for_a_day(
    folder: Path,
) -> None:
    """One that was killed, and came back with a namespace or a name that nobody else has."""
    put(folder, node="old", pid_namespace="pid:[1]")
    put(folder, node="elsewhere", host="elsewhere")
    put(folder, node="young", pid_namespace="pid:[1]")
    for node, hours in (("old", 25), ("elsewhere", 25), ("young", 23)):
        at = time.time() - hours * 3600
        os.utime(folder / f"worker-{node}.json", (at, at))
    remove_dead(folder)
    assert {path.name for path in folder.iterdir()} == {"worker-young.json"}


PROGRAM = """
import sys
from pathlib import Path
from siteferry.health.probe import Question, answer
from siteferry.health import record
from siteferry.health.record import Health, HealthFile
folder, node = sys.argv[1:]
record.WRITE_SECONDS = 3600.0  # what another one removes stays away
HealthFile(Path(folder), "worker", node, "1", Health).start()
print("started", flush=True)
for _ in sys.stdin:
    print(*answer(Question(["alive", "--within", "600", "--dir", folder], {})), flush=True)
"""


@contextmanager
def container(folder: Path, node: str) -> Iterator[subprocess.Popen[str]]:
    """A writer that is process 1, with the name of this machine; answers each line with a probe."""
    command = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    process = subprocess.Popen(
        [*command, sys.executable, "-c", PROGRAM, folder, node],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    )
    with process:
        try:
            if said(process) != "started":
                process.kill()
                pytest.skip(f"no namespaces here: {process.communicate()[1]}")
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def probed(process: subprocess.Popen[str]) -> str:
    assert process.stdin is not None
    process.stdin.write("alive?\n")
    process.stdin.flush()
    return said(process)


@pytest.mark.needs_root
def test_two_containers_of_one_name_leave_each_other_alone(folder: Path) -> None:
    """Each writer is process 1, and they were started at different times."""
    with container(folder, "first") as first, container(folder, "second") as second:
        names = {path.name for path in folder.glob("*.json")}
        assert names == {"worker-first.json", "worker-second.json"}
        assert probed(first) == "0 alive: worker first"
        assert probed(second) == "0 alive: worker second"
