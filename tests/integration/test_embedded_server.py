"""The private server: joined, shared, ended by the last one out, whoever is killed on the way."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from siteferry.embedded import EmbeddedServer
from siteferry.embedded.locks import open_lock, release, try_exclusive
from siteferry.embedded.paths import SOCKET_PATH_BYTES
from siteferry.errors import ConfigurationError, LedgerUnreachable

ROOT = Path(__file__).parents[2]

HOLD = """
import sys
from pathlib import Path
from siteferry.embedded import EmbeddedServer
with EmbeddedServer(Path(sys.argv[1])) as server:
    print(server.url, flush=True)
    sys.stdin.read()
"""

FORK = """
import os, sys
from pathlib import Path
from siteferry.embedded import EmbeddedServer
with EmbeddedServer(Path(sys.argv[1])):
    if os.fork() == 0:
        sys.stdin.read()
        os._exit(0)
print("left", flush=True)
"""

ROUNDS = """
import sys
from pathlib import Path
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from siteferry.embedded import EmbeddedServer
for number in range(int(sys.argv[2])):
    with EmbeddedServer(Path(sys.argv[1])) as server:
        with redis.Redis.from_url(server.url, retry=Retry(NoBackoff(), 0)) as client:
            client.incr("joined")
            for _ in range(20):
                client.ping()
            client.incr("left")
    print(number, int(server.started_here), flush=True)
"""


_MOST_TRIES = 10


@pytest.fixture
def state() -> Iterator[Path]:
    """A state directory with a short path; its server must be gone at the end of the test."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        yield Path(name).resolve()
        assert not runs(Path(name))


def command(script: str, *arguments: object) -> subprocess.Popen[str]:
    """A process of its own, as a siteferry command is."""
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def client_of(server: EmbeddedServer) -> closing[redis.Redis]:
    """A client that never tries again, so that a server that went away shows."""
    return closing(redis.Redis.from_url(server.url, retry=Retry(NoBackoff(), 0)))


def server_pid(state: Path) -> int:
    return int((state / "server.pid").read_text())


def runs(state: Path) -> bool:
    """Whether a server process holds its lock on the state directory."""
    if not (state / "server.alive").exists():
        return False
    fd = open_lock(state / "server.alive")
    try:
        return not try_exclusive(fd)
    finally:
        release(fd)


def wait_until_gone(state: Path) -> None:
    deadline = time.monotonic() + 20
    while runs(state):
        assert time.monotonic() < deadline


def executable(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def append_only_file(state: Path) -> Path:
    (file,) = (state / "data").glob("appendonlydir/*.incr.aof")
    return file


def test_the_first_command_starts_the_server_and_the_last_one_out_ends_it(state: Path) -> None:
    with EmbeddedServer(state) as first:
        assert first.started_here
        assert first.url == f"unix://{state}/redis.sock?db=0"
        with EmbeddedServer(state) as second:
            assert not second.started_here
            assert second.url == first.url
        assert runs(state)
        with client_of(first) as client:
            assert client.ping()
    assert not runs(state)
    assert not first.socket_path.exists()


def test_the_server_is_reached_by_its_socket_only_and_keeps_every_write(state: Path) -> None:
    with EmbeddedServer(state) as server, client_of(server) as client:
        settings = client.config_get("*")
    assert settings["port"] == "0"
    assert settings["unixsocketperm"] == "700"
    assert settings["appendonly"] == "yes"
    assert settings["appendfsync"] == "everysec"
    assert settings["save"] == ""
    assert settings["maxmemory-policy"] == "noeviction"


def test_the_terminals_interrupt_does_not_reach_the_server(state: Path) -> None:
    """It has a session of its own."""
    with EmbeddedServer(state):
        pid = server_pid(state)
        assert os.getsid(pid) == pid


def test_the_server_gets_none_of_the_secrets_in_the_commands_environment(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXAMPLE_FTP_PASSWORD", "not-for-the-server")
    telling = executable(tmp_path / "valkey-server", "env; exit 1")
    with pytest.raises(LedgerUnreachable):
        EmbeddedServer(state, binary=telling).__enter__()
    log = (state / "server.log").read_text()
    assert "PATH=" in log
    assert "not-for-the-server" not in log


def test_what_was_written_is_there_for_the_next_command(state: Path) -> None:
    with EmbeddedServer(state) as server, client_of(server) as client:
        client.set("kept", "yes")
    with EmbeddedServer(state) as server, client_of(server) as client:
        assert server.started_here
        assert client.get("kept") == b"yes"


@pytest.mark.parametrize(("commands", "rounds"), [(2, 40), (8, 15)])
def test_commands_that_join_and_leave_all_the_time_never_lose_the_server(
    state: Path, commands: int, rounds: int
) -> None:
    """None meets a server that is stopping, and no count is lost from one server to the next.

    Two are often both outside, so the server ends and starts many times; eight crowd at the door.
    On a busy machine two may take turns so evenly that it never ends: they get more than one try.
    """
    wanted, tries, starts = 2 if commands == 2 else 1, 0, 0
    while starts < wanted and tries < _MOST_TRIES:
        tries += 1
        processes = [command(ROUNDS, state, rounds) for _ in range(commands)]
        outputs = [process.communicate()[0] for process in processes]
        assert [process.returncode for process in processes] == [0] * commands
        starts = sum(int(line.split()[1]) for output in outputs for line in output.splitlines())
        assert not runs(state)
    assert starts >= wanted
    with EmbeddedServer(state) as server, client_of(server) as client:
        assert client.mget("joined", "left") == [b"%d" % (commands * rounds * tries)] * 2


def test_commands_killed_anywhere_between_joining_and_leaving_leave_nothing_locked(
    state: Path,
) -> None:
    confirmed = 0
    for generation in range(3):
        commands = [command(ROUNDS, state, 10_000) for _ in range(4)]
        for number, process in enumerate(commands):
            for _ in range(3 + number + generation):
                assert line_of(process)
                confirmed += 1
            kill(process)
    with EmbeddedServer(state) as server, client_of(server) as client:
        left = client.get("left")
        assert left is not None
        assert int(left) >= confirmed
    assert not runs(state)


def test_a_server_whose_starter_was_killed_is_joined_by_the_next_command_and_ended(
    state: Path,
) -> None:
    starter = command(HOLD, state)
    assert line_of(starter).startswith("unix://")
    kill(starter)
    pid = server_pid(state)
    with EmbeddedServer(state) as server:
        assert not server.started_here
        assert server_pid(state) == pid
    assert not runs(state)


def test_a_server_that_still_loads_when_its_starter_is_killed_is_not_started_twice(
    state: Path,
) -> None:
    with EmbeddedServer(state) as server, client_of(server) as client:
        client.set("first", "1")
    with append_only_file(state).open("ab") as file:
        file.writelines(
            b"*3\r\n$3\r\nSET\r\n$6\r\n%06d\r\n$1\r\n1\r\n" % number for number in range(300_000)
        )
    starter = command(HOLD, state)
    deadline = time.monotonic() + 30
    while not (state / "server.pid").exists():
        assert time.monotonic() < deadline
    kill(starter)
    with EmbeddedServer(state) as server, client_of(server) as client:
        assert not server.started_here
        assert client.dbsize() == 300_001
    assert (state / "server.log").read_text().count("is starting") == 2


def test_a_server_killed_while_commands_use_it_is_started_again_at_the_same_url(
    state: Path,
) -> None:
    with EmbeddedServer(state) as server:
        url = server.url
        with client_of(server) as client:
            client.set("kept", "yes")
        os.kill(server_pid(state), signal.SIGKILL)
        wait_until_gone(state)
        server.check()
        assert server.url == url
        with client_of(server) as client:
            assert client.get("kept") == b"yes"
    assert not runs(state)


def test_a_server_killed_while_no_command_looks_is_started_again_by_the_next(state: Path) -> None:
    holder = command(HOLD, state)
    url = line_of(holder)
    os.kill(server_pid(state), signal.SIGKILL)
    wait_until_gone(state)
    with EmbeddedServer(state) as server:
        assert server.started_here
        assert server.url == url
    assert runs(state)  # the holder has not left
    holder.communicate()
    assert not runs(state)


def test_who_leaves_last_when_the_server_was_killed_tidies_up_without_a_word(
    state: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(state))
    long = state / ("d" * SOCKET_PATH_BYTES)
    with EmbeddedServer(long) as server:
        os.kill(server_pid(long), signal.SIGKILL)
        wait_until_gone(long)
    assert not server.socket_path.parent.exists()
    assert caplog.text == ""


def test_checking_a_server_that_answers_leaves_it_alone(state: Path) -> None:
    with EmbeddedServer(state) as server:
        pid = server_pid(state)
        server.check()
        assert server_pid(state) == pid


def test_half_a_command_at_the_end_of_the_file_costs_only_that_command(state: Path) -> None:
    """As after a loss of power."""
    with EmbeddedServer(state) as server, client_of(server) as client:
        client.set("kept", "yes")
    with append_only_file(state).open("ab") as file:
        file.write(b"*3\r\n$3\r\nSET\r\n$4\r\nlo")
    with EmbeddedServer(state) as server, client_of(server) as client:
        assert client.keys() == [b"kept"]


def test_a_file_that_cannot_be_loaded_is_named_and_left_as_it_is(state: Path) -> None:
    with EmbeddedServer(state) as server, client_of(server) as client:
        client.set("first", "1")
        client.set("second", "2")
    file = append_only_file(state)
    damaged = file.read_bytes().replace(b"SET", b"???", 1)
    file.write_bytes(damaged)
    with pytest.raises(LedgerUnreachable) as caught, EmbeddedServer(state):
        pass
    assert str(file) in caught.value.message
    assert "Nothing was deleted" in caught.value.next_step
    assert str(state / "data") in caught.value.next_step
    assert file.read_bytes() == damaged
    assert not runs(state)


def test_a_server_that_ends_at_once_is_quoted(state: Path, tmp_path: Path) -> None:
    broken = executable(tmp_path / "valkey-server", "echo 'the stars are wrong' >&2; exit 3")
    with pytest.raises(LedgerUnreachable, match="the stars are wrong") as caught:
        EmbeddedServer(state, binary=broken).__enter__()
    assert "status 3" in caught.value.message
    assert str(state / "server.log") in caught.value.next_step


def test_a_program_that_cannot_be_run_is_named(state: Path, tmp_path: Path) -> None:
    with pytest.raises(LedgerUnreachable, match=f"{tmp_path}/none cannot be started"):
        EmbeddedServer(state, binary=tmp_path / "none").__enter__()


def test_a_server_that_never_answers_is_ended_by_who_started_it(
    state: Path, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "nothing")
    silent = executable(tmp_path / "valkey-server", 'exec cat <>"${0%/*}/nothing"')
    (state / "server.pid").write_text("1\n")  # of a server that was killed long ago
    with pytest.raises(LedgerUnreachable, match=r"\(process unknown\) does not answer"):
        EmbeddedServer(state, binary=silent, answer_seconds=0.2).__enter__()
    assert not runs(state)


def test_a_command_that_hangs_at_the_door_does_not_hold_up_who_leaves(
    state: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The server is left over then, with a warning, and ended by the next command."""
    door = open_lock(state / "server.door")
    first = EmbeddedServer(state)
    first.__enter__()
    try:
        with EmbeddedServer(state, answer_seconds=1):  # only joins: a start may take longer
            first.__exit__(None, None, None)
            assert try_exclusive(door)
    finally:
        release(door)
    assert "may be left running" in caplog.text
    assert "server.door" in caplog.text
    assert runs(state)
    with EmbeddedServer(state) as server:
        assert not server.started_here


def test_a_server_that_hangs_is_named_and_neither_doubled_nor_killed(state: Path) -> None:
    with EmbeddedServer(state) as server, client_of(server) as client:
        pid = server_pid(state)
        os.kill(pid, signal.SIGSTOP)
        try:
            with pytest.raises(LedgerUnreachable, match=f"process {pid}"):
                EmbeddedServer(state, answer_seconds=0.2).__enter__()
        finally:
            os.kill(pid, signal.SIGCONT)
        assert client.ping()


def test_who_finds_a_server_that_is_stopping_waits_and_starts_the_next(state: Path) -> None:
    """As when the last one out is killed right after it has asked the server to end."""
    holder = command(HOLD, state)
    line_of(holder)
    pid = server_pid(state)
    with socket.socket(socket.AF_UNIX) as last_one_out:
        last_one_out.connect(str(state / "redis.sock"))
        os.kill(pid, signal.SIGSTOP)
        last_one_out.sendall(b"SHUTDOWN NOSAVE\r\n")
    kill(holder)
    joiner = command(HOLD, state)
    deadline = time.monotonic() + 30
    while not door_is_held(state):  # the joiner is inside and meets silence
        assert time.monotonic() < deadline
    os.kill(pid, signal.SIGCONT)
    assert line_of(joiner).startswith("unix://")
    assert server_pid(state) != pid
    with closing(redis.Redis(unix_socket_path=str(state / "redis.sock"))) as client:
        assert client.ping()
    joiner.communicate()


def door_is_held(state: Path) -> bool:
    fd = open_lock(state / "server.door")
    try:
        return not try_exclusive(fd)
    finally:
        release(fd)


def test_a_forked_child_of_a_command_that_has_left_keeps_nothing_locked(state: Path) -> None:
    """It shares the open lock file, as the processes of a pool would."""
    process = command(FORK, state)
    assert line_of(process) == "left"
    assert not runs(state)
    with EmbeddedServer(state):
        pass
    assert not runs(state)
    process.communicate()


def test_two_state_directories_have_two_servers(state: Path) -> None:
    one, two = state / "one", state / "two"
    with EmbeddedServer(one) as first, EmbeddedServer(two) as second:
        assert server_pid(one) != server_pid(two)
        with client_of(first) as client:
            client.set("whose", "first")
        with client_of(second) as client:
            assert client.get("whose") is None
    assert not runs(one)
    assert not runs(two)


def test_a_state_directory_with_a_long_and_odd_name_works(state: Path) -> None:
    odd = state / ("é \"'#%" + "d" * SOCKET_PATH_BYTES)
    with EmbeddedServer(odd) as server, client_of(server) as client:
        client.set("kept", "yes")
        outer = server.socket_path.parent
        assert outer.stat().st_mode & 0o777 == 0o700
        assert len(os.fsencode(server.socket_path)) <= SOCKET_PATH_BYTES
    assert not outer.exists()
    with EmbeddedServer(odd) as server, client_of(server) as client:
        assert client.get("kept") == b"yes"


def test_commands_with_another_runtime_directory_find_the_same_server(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cron sets no XDG_RUNTIME_DIR, a login does."""
    long = state / ("d" * SOCKET_PATH_BYTES)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(state))
    with EmbeddedServer(long) as first:
        assert first.socket_path.is_relative_to(state)
        monkeypatch.delenv("XDG_RUNTIME_DIR")
        with EmbeddedServer(long) as second:
            assert second.url == first.url
            assert not second.started_here


def test_a_restarted_server_keeps_its_url_though_the_environment_has_changed(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others still hold that URL."""
    long = state / ("d" * SOCKET_PATH_BYTES)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(state))
    with EmbeddedServer(long) as first:
        url = first.url
        monkeypatch.delenv("XDG_RUNTIME_DIR")
        os.kill(server_pid(long), signal.SIGKILL)
        wait_until_gone(long)
        with EmbeddedServer(long) as second:
            assert second.started_here
            assert second.url == url


def test_a_state_directory_that_is_open_to_others_is_refused(state: Path) -> None:
    state.chmod(0o755)
    with pytest.raises(ConfigurationError, match="is open to others"):
        EmbeddedServer(state).__enter__()
    assert list(state.iterdir()) == []


def test_a_socket_directory_that_was_opened_to_others_is_not_joined(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(state))
    long = state / ("d" * SOCKET_PATH_BYTES)
    with EmbeddedServer(long) as first:
        first.socket_path.parent.chmod(0o777)
        with pytest.raises(ConfigurationError, match="is open to others"):
            EmbeddedServer(long).__enter__()


@pytest.fixture
def system_redis() -> Path:
    """A Redis of version 7 or later from PATH."""
    from shutil import which

    from siteferry.embedded.binary import server_version

    found = which("redis-server")
    version = server_version(Path(found)) if found else None
    if found is None or version is None or version < (7, 0, 0):
        if os.environ.get("CI"):
            pytest.fail("CI must have a redis-server of version 7 or later")
        pytest.skip("no redis-server of version 7 or later on PATH")
    return Path(found)


def test_redis_and_the_packaged_valkey_read_each_others_data(
    state: Path, system_redis: Path
) -> None:
    for number, binary in enumerate([None, system_redis, None, system_redis], start=1):
        with EmbeddedServer(state, binary=binary) as server, client_of(server) as client:
            assert client.incr("servers") == number
            client.bgrewriteaof()


def test_a_server_too_old_for_the_data_is_refused(state: Path, tmp_path: Path) -> None:
    with EmbeddedServer(state):
        pass
    old = executable(tmp_path / "redis-server", "echo 'Redis server v=6.2.14 sha=0:0'")
    with pytest.raises(LedgerUnreachable, match="was written by a later server"):
        EmbeddedServer(state, binary=old).__enter__()


def test_a_long_log_is_put_aside_when_the_server_starts(state: Path) -> None:
    (state / "server.log").write_bytes(b"x" * (1024 * 1024 + 1))
    with EmbeddedServer(state):
        assert (state / "server.log").stat().st_size < 100_000
    assert (state / "server.log.1").stat().st_size == 1024 * 1024 + 1
