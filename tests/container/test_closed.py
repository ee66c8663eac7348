"""What the containers may do, and where secrets can be read."""

from __future__ import annotations

import base64
import json
import re
import sys
from pathlib import Path

import pytest

from tests.container.stack import OWN_USER, REDIS_USER, Stack

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SERVICES = ("redis", "worker", "scheduler", "flower", "ftp")


def status_of(process: Path) -> dict[str, str]:
    """proc(5), /proc/PID/status."""
    lines = (process / "status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def processes(stack: Stack, container: str) -> list[int]:
    listed = stack.engine.run("docker", "top", container, "-o", "pid").stdout
    return [int(line) for line in listed.splitlines()[1:]]


def test_every_process_is_an_ordinary_users_without_any_rights(stack: Stack) -> None:
    seen = 0
    for service in SERVICES:
        for facts in stack.containers(service):
            for pid in processes(stack, facts["Id"]):
                status = status_of(Path(f"/proc/{pid}"))
                user = REDIS_USER if service == "redis" else OWN_USER
                assert set(status["Uid"].split()) == {str(user)}, service
                assert "0" not in status["Gid"].split(), service
                for capabilities in ("CapPrm", "CapEff", "CapBnd", "CapAmb"):
                    assert int(status[capabilities], 16) == 0, (service, capabilities)
                assert status["NoNewPrivs"] == "1", service
                seen += 1
    assert seen >= len(SERVICES)


def test_nothing_can_be_written_but_to_volumes_and_memory(stack: Stack) -> None:
    for service in SERVICES:
        assert stack.containers(service)[0]["HostConfig"]["ReadonlyRootfs"], service
        for place in ("/", "/opt", "/etc", "/run", "/var", "/usr/bin", "/run/secrets"):
            refused_to_write(stack, service, place)
    for service in ("worker", "scheduler", "flower"):
        for place in ("/opt/siteferry", "/srv/siteferry", "/srv/siteferry/config"):
            refused_to_write(stack, service, place)
    refused_to_write(stack, "worker", "/srv/siteferry/workspaces")


def refused_to_write(stack: Stack, service: str, place: str) -> None:
    tried = stack.compose("exec", "-T", service, "touch", f"{place}/written", check=False)
    assert tried.returncode, (service, place)
    # What is mounted from elsewhere may be refused as somebody else's before it is as read-only.
    assert re.search("Read-only file system|Permission denied", tried.stderr + tried.stdout)


def test_only_flower_is_published_and_only_on_loopback(stack: Stack) -> None:
    for service in SERVICES:
        for facts in stack.containers(service):
            bound = [
                b for bindings in facts["HostConfig"]["PortBindings"].values() for b in bindings
            ]
            expected = [{"HostIp": "127.0.0.1", "HostPort": "5555"}] if service == "flower" else []
            assert bound == expected, service


def test_redis_and_the_scheduler_reach_nobody_outside(stack: Stack) -> None:
    (network,) = json.loads(
        stack.engine.run("docker", "network", "inspect", "siteferry_ledger").stdout
    )
    assert network["Internal"]
    for service in ("redis", "scheduler"):
        networks = stack.containers(service)[0]["NetworkSettings"]["Networks"]
        assert list(networks) == ["siteferry_ledger"]
    networks = stack.containers("ftp")[0]["NetworkSettings"]["Networks"]
    address = networks["siteferry_outside"]["IPAddress"]
    # By a program of this machine's, for the image of Redis has none that connects.
    word = f"import socket; socket.create_connection(({address!r}, 2121), timeout=3)"
    for service in ("redis", "scheduler", "worker"):
        inside = ["nsenter", f"--target={stack.pid(service)}", "--net", "--"]
        tried = stack.engine.run(*inside, sys.executable, "-c", word, check=False)
        assert (tried.returncode == 0) == (service == "worker"), (service, tried.stderr)


def test_redis_lets_nobody_in_without_a_password(stack: Stack) -> None:
    refused = stack.compose("exec", "-T", "redis", "redis-cli", "ping", check=False).stdout
    assert "NOAUTH" in refused


def test_each_service_has_its_own_secrets_alone(stack: Stack) -> None:
    expected = {
        "redis": {"redis-producer", "redis-beat", "redis-worker", "redis-flower"},
        "worker": {"redis-worker", "credential-key"},
        "scheduler": {"redis-beat", "metrics-token"},
        "flower": {"redis-flower", "flower"},
        "ftp": {"ftp-demo"},
    }
    for service, names in expected.items():
        listed = stack.compose("exec", "-T", service, "ls", "/run/secrets").stdout
        assert set(listed.split()) == names, service


def test_no_secret_stands_where_docker_shows_it(stack: Stack) -> None:
    """With the encrypted file: inspect, history, logs, command lines, and the image's content."""
    stack.store_password("example")
    ids = stack.compose("ps", "--all", "--quiet").stdout.split()
    shown = [
        stack.engine.run("docker", "inspect", *ids, "siteferry").stdout,
        stack.engine.run("docker", "history", "--no-trunc", "siteferry").stdout,
        stack.compose("logs").stdout,
        stack.compose("config").stdout,
        *(stack.engine.run("docker", "top", one, "-o", "pid,args").stdout for one in ids),
    ]
    for name, value in stack.recognised().items():
        for text in shown:
            assert value not in text, name
            assert base64.b64encode(value.encode()).decode() not in text, name
    image = stack.folder / "image.tar"
    stack.engine.run("docker", "save", "--output", str(image), "siteferry")
    content = image.read_bytes()
    image.unlink()
    assert b"siteferry-probe" in content, "the layers are packed, so nothing would be found"
    for name, value in stack.recognised().items():
        assert value.encode() not in content, name


def test_metrics_want_their_token_and_flower_its_password(stack: Stack) -> None:
    asked = "\n".join(
        [
            "import sys, urllib.request as u, urllib.error as e",
            "r = u.Request(sys.argv[1], headers={'Authorization': sys.stdin.read().strip()})",
            "try: print(u.urlopen(r, timeout=10).read().decode())",
            "except e.HTTPError as error: print(error.code)",
        ]
    )

    def ask(address: str, login: str) -> str:
        words = ("exec", "-T", "worker", "python3", "-c", asked, address)
        return stack.compose(*words, text=login).stdout

    metrics = "http://scheduler:9808/metrics"
    assert ask(metrics, "Bearer wrong").strip() == "401"
    assert "siteferry_workers 2.0" in ask(metrics, f"Bearer {stack.secrets['metrics-token']}")
    pages = "http://flower:5555/workers"
    assert ask(pages, "Basic d3Jvbmc6d3Jvbmc=").strip() == "401"
    login = base64.b64encode(f"siteferry:{stack.secrets['flower']}".encode()).decode()
    assert "<html" in ask(pages, f"Basic {login}")
    # And from the machine, on its loopback.
    from_outside = stack.engine.inside("python3", "-c", asked, "http://127.0.0.1:5555/workers")
    assert stack.engine.run(*from_outside, text="Basic wrong").stdout.strip() == "401"
