"""`siteferry flower` as a process: what it asks for, where it listens, and a Redis that is away."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.test_two_workers import wait_for_workers
from tests.clear_errors import assert_clear
from tests.conftest import unavailable
from tests.installation import Installation
from tests.integration.test_task_states import wait_until
from tests.private_redis import RedisServer
from tests.security.test_marked_password import assert_unmarked, command_lines
from tests.servers.certificate import Certificate
from tests.servers.ports import HOST, PortBlock

WORD = "Word-of-Flower-9137"


@pytest.fixture
def port() -> Iterator[int]:
    ports = PortBlock()
    yield ports.control
    ports.release()


@pytest.fixture
def installation(redis_server: RedisServer, tmp_path: Path, port: int) -> Installation:
    made = Installation(tmp_path / "installation", redis=redis_server.url)
    made.configure(flower={"port": port})
    return made


def get(port: int, path: str, login: str | None = f"siteferry:{WORD}") -> tuple[int, str]:
    request = urllib.request.Request(f"http://{HOST}:{port}{path}")
    if login is not None:
        request.add_header("Authorization", f"Basic {b64encode(login.encode()).decode()}")
    try:
        with urllib.request.urlopen(request, timeout=20) as reply:  # noqa: S310  # ours
            return int(reply.status), reply.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return int(error.code), error.read().decode()


def answers(port: int) -> bool:
    try:
        return get(port, "/healthcheck", None)[0] == 200
    except (urllib.error.URLError, ConnectionError):
        return False


def log_of(installation: Installation) -> str:
    return (installation.folder / "flower.log").read_text()


VARIABLE = "SITEFERRY_FLOWER_PASSWORD"


@pytest.mark.parametrize(
    ("settings", "environment", "code", "told"),
    [
        ({}, {}, 2, "Flower has no password"),
        ({"password": ""}, {}, 2, "Flower has no password"),
        ({"password_file": "/nowhere/word"}, {}, 3, "/nowhere/word"),
        ({"password": "x"}, {f"{VARIABLE}_FILE": "/nowhere/word"}, 3, "/nowhere/word"),
        ({"password": "${credential:flower/PASSWORD}"}, {}, 3, "flower/PASSWORD"),
        ({"password": "${credential:flower}"}, {}, 2, "flower.password"),
        ({"password": WORD, "password_file": "y"}, {}, 2, "flower.password_file"),
        ({}, {VARIABLE: WORD, f"{VARIABLE}_FILE": "y"}, 2, VARIABLE),
    ],
)
def test_without_a_password_that_can_be_had_it_does_not_start(
    installation: Installation,
    settings: dict[str, Any],
    environment: dict[str, str],
    code: int,
    told: str,
) -> None:
    installation.configure(flower=settings)
    installation.environment |= environment
    refused = installation.run("flower")
    assert_clear(installation, refused, code, told, secrets=[])
    assert WORD not in refused.output


def test_the_password_of_flower_keeps_no_other_command_from_its_work(
    installation: Installation,
) -> None:
    installation.configure(flower={"password_file": "/nowhere/word"})
    assert installation.run("runs").code == 0


def test_it_needs_a_redis_that_stays(tmp_path: Path) -> None:
    installation = Installation(tmp_path, environment={"SITEFERRY_FLOWER_PASSWORD": WORD})
    refused = installation.run("flower")
    assert_clear(installation, refused, 2, "SITEFERRY_REDIS_URL", secrets=[WORD])


def test_a_port_that_is_taken_is_told_with_what_to_do(
    installation: Installation, port: int
) -> None:
    installation.environment["SITEFERRY_FLOWER_PASSWORD"] = WORD
    with socket.create_server((HOST, port)):
        refused = installation.run("flower")
    assert_clear(installation, refused, 2, f"port {port}", "--port", secrets=[WORD])


@pytest.mark.parametrize("setting", [{"url_prefix": "a b"}, {"user": "a:b"}, {"port": 0}])
def test_a_setting_that_cannot_be_is_told_by_its_name(
    installation: Installation, setting: dict[str, Any]
) -> None:
    installation.configure(flower=setting)
    refused = installation.run("flower")
    assert_clear(installation, refused, 2, f"flower.{next(iter(setting))}", secrets=[])


def test_it_listens_on_loopback_with_the_password_of_a_store_and_ends_when_told(
    installation: Installation, port: int
) -> None:
    installation.configure(
        flower={"port": port, "password": "${credential:environment:flower/PASSWORD}"}
    )
    installation.environment["SITEFERRY_CRED_FLOWER_PASSWORD"] = WORD
    with installation.process("flower") as flower:
        wait_until(lambda: answers(port), "it does not answer")
        assert get(port, "/tasks", None)[0] == 401
        assert get(port, "/tasks")[0] == 200
        assert listening(flower) == {f"{HOST}:{port}"}
        assert_unmarked(command_lines(), "a command line", [WORD])
        flower.send_signal(signal.SIGTERM)
        assert flower.wait(20) == 0
    log = log_of(installation)
    assert "Flower stopped" in log
    assert "Traceback" not in log
    assert_unmarked(log.encode(), "the log", [WORD])


def test_whoever_is_not_logged_in_cannot_fill_the_memory_with_a_body(
    installation: Installation, port: int
) -> None:
    """Nor does one who is, by far."""
    installation.environment["SITEFERRY_FLOWER_PASSWORD"] = WORD
    huge, chunked = "Content-Length: 90000000", "Transfer-Encoding: chunked"
    too_much = b"100000\r\n" + bytes(2**20) + b"\r\n1\r\n"
    with installation.process("flower"):
        wait_until(lambda: answers(port), "it does not answer")
        for header in (huge, "Content-Length: 100", chunked):
            assert status_of(port, header) == 401, header
        login = f"Authorization: Basic {b64encode(f'siteferry:{WORD}'.encode()).decode()}\r\n"
        assert status_of(port, login + huge) == 400
        assert status_of(port, login + chunked, too_much) == 400
        assert get(port, "/tasks")[0] == 200
    assert "Traceback" not in log_of(installation)


def status_of(port: int, headers: str, body: bytes = b"") -> int:
    """What is answered to a request whose body has begun only."""
    with socket.create_connection((HOST, port), timeout=20) as connection:
        start = f"POST /api/task/apply/x HTTP/1.1\r\nHost: {HOST}\r\n{headers}\r\n\r\n"
        connection.sendall(start.encode() + body)
        return int(connection.recv(64).split()[1])


def listening(process: subprocess.Popen[str]) -> set[str]:
    """The addresses at which it accepts connections (/proc/net/tcp, state 0A)."""
    links = Path(f"/proc/{process.pid}/fd").iterdir()
    own = {name.split("[")[1][:-1] for name in map(_target, links) if name.startswith("socket:[")}
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{process.pid}/net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == "0A" and words[9] in own:
                number, _, port = words[1].partition(":")
                host = socket.inet_ntoa(int(number, 16).to_bytes(4, "little"))
                found.add(f"{host}:{int(port, 16)}")
    return found


def _target(link: Path) -> str:
    return str(link.readlink())


@contextmanager
def without_redis(
    installation: Installation, redis_server: RedisServer
) -> Iterator[subprocess.Popen[str]]:
    """Flower, which says that Redis is away; it is there again at the end."""
    installation.environment["SITEFERRY_FLOWER_PASSWORD"] = WORD
    redis_server.stop()
    try:
        with installation.process("flower") as flower:
            wait_until(lambda: "away" in log_of(installation), "it does not say that it waits")
            yield flower
    finally:
        redis_server.start()


@pytest.mark.slow
def test_it_waits_for_a_redis_that_is_away_and_goes_on_after_an_outage(
    installation: Installation, redis_server: RedisServer, port: int
) -> None:
    with without_redis(installation, redis_server) as flower:
        # At once, so that no probe takes it for one that hangs; its pages are empty.
        wait_until(lambda: answers(port), "it does not answer")
        assert get(port, "/tasks", None)[0] == 401
        assert get(port, "/tasks")[0] == 200
        assert get(port, "/workers?refresh=1")[0] == 200
        redis_server.start()
        with installation.process("worker"):
            wait_for_workers(redis_server, 1)
            wait_until(lambda: "siteferry@" in get(port, "/workers?json=1")[1], "no worker")
            redis_server.stop()
            wait_until(
                lambda: (
                    "Connection refused" in log_of(installation)
                    or "No such file" in log_of(installation)
                ),
                "it does not say that Redis is away",
            )
            assert get(port, "/tasks")[0] == 200
            assert get(port, "/workers?refresh=1")[0] == 200
            redis_server.start()
            before = heartbeats(port)
            wait_until(lambda: heartbeats(port) > before, "it hears no worker any more")
        assert flower.poll() is None
    assert_unmarked(log_of(installation).encode(), "the log", [WORD])


def test_it_ends_when_told_while_it_waits_for_redis(
    installation: Installation, redis_server: RedisServer
) -> None:
    with without_redis(installation, redis_server) as flower:
        flower.send_signal(signal.SIGTERM)
        assert flower.wait(20) == 0
    log = log_of(installation)
    assert "Flower stopped" in log
    assert "Traceback" not in log


TOLD_AS_REDIS_COMES = """
import os, signal
from siteferry.cli import cli, flower_server
flower_server.wait_for_redis = lambda *_: os.kill(os.getpid(), signal.SIGTERM)
cli(["flower"])
"""


def test_it_ends_when_told_in_the_moment_in_which_redis_is_there(
    installation: Installation,
) -> None:
    """Between its waiting and its start, which no signal from outside could be sure to meet."""
    installation.environment["SITEFERRY_FLOWER_PASSWORD"] = WORD
    done = subprocess.run(
        [sys.executable, "-c", TOLD_AS_REDIS_COMES],
        cwd=installation.folder,
        env=installation.env(),
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    assert "Flower stopped" in done.stderr


def test_a_redis_that_refuses_it_is_told_and_ends_it(installation: Installation) -> None:
    installation.environment |= {
        "SITEFERRY_FLOWER_PASSWORD": WORD,
        "SITEFERRY_REDIS_PASSWORD": "not-the-one",
    }
    installation.configure(redis={"username": "nobody"})
    refused = installation.run("flower")
    assert_clear(installation, refused, 7, "Redis refuses", secrets=[WORD, "not-the-one"])


def heartbeats(port: int) -> int:
    workers = json.loads(get(port, "/workers?json=1")[1])["data"]
    return sum(worker.get("worker-heartbeat", 0) for worker in workers)


@pytest.mark.slow
def test_it_reaches_a_redis_with_tls(certificate: Certificate, tmp_path: Path, port: int) -> None:
    binary = shutil.which("redis-server")
    if binary is None:
        unavailable("no Redis that speaks TLS")
    ports = PortBlock()
    server = RedisServer(binary, port=ports.control, tls=certificate)
    try:
        installation = Installation(tmp_path / "installation", redis=server.tcp_url)
        installation.configure(
            flower={"port": port, "password": WORD}, redis={"ca_file": str(certificate.file)}
        )
        with installation.process("flower"), installation.process("worker"):
            wait_until(lambda: answers(port), "it does not answer")
            wait_until(lambda: "siteferry@" in get(port, "/workers?json=1")[1], "no worker")
            status, page = get(port, "/broker")
            assert status == 200
            assert "siteferry.work" in page
    finally:
        server.remove()
        ports.release()
