"""The Redis of the cluster, started with the arguments, users and probes of its manifest."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from siteferry.broker import SHARED_QUEUE
from tests.holdings import wait_until
from tests.kubernetes.laid_out import data_of
from tests.kubernetes.manifests import new_secrets, of_kind
from tests.kubernetes.pod_processes import RedisPod, redis_pod
from tests.servers.ports import HOST

CLIENTS = ("producer", "beat", "worker", "flower", "keda", "admin")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisPod]:
    with redis_pod(new_secrets(), tmp_path) as started:
        yield started


PROBES = ("startupProbe", "livenessProbe", "readinessProbe")


def well(server: RedisPod) -> list[bool]:
    return [server.is_well(probe) for probe in PROBES]


def test_each_process_logs_in_with_the_password_of_its_secret(server: RedisPod) -> None:
    for name in CLIENTS:
        with server.client(name) as client:
            if name == "admin":
                assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
            if name == "flower":
                assert client.llen(f"siteferry:{SHARED_QUEUE}") == 0
            if name not in ("admin", "keda", "flower"):
                assert client.get("siteferry:run:none") is None
    with redis.Redis(port=server.port) as nobody, pytest.raises(redis.AuthenticationError):
        nobody.get("siteferry:run:none")


def test_it_keeps_all_in_an_append_only_file_and_no_snapshots(server: RedisPod) -> None:
    with server.client("admin") as admin:
        assert admin.config_get("appendonly") == {"appendonly": "yes"}
        assert admin.config_get("save") == {"save": ""}
        assert admin.config_get("maxmemory") == {"maxmemory": str(256 * 2**20)}
        admin.set("siteferry:run:kept", "x")
    server.restart()
    with server.client("admin") as admin:
        assert admin.get("siteferry:run:kept") == b"x"


def test_the_probes_say_whether_it_answers(server: RedisPod) -> None:
    assert well(server) == [True, True, True]
    server.stop()
    assert well(server) == [False, False, False]


def test_new_passwords_in_the_secret_end_no_redis_that_has_the_old_ones(server: RedisPod) -> None:
    """A kubelet shows them to the probes a minute later; to Redis only a new start does."""
    with server.client("worker") as worker:
        server.rotate()
        assert well(server) == [True, True, True]
        assert worker.ping()
        with server.client("worker") as late, pytest.raises(redis.AuthenticationError):
            late.ping()
    server.restart()
    with server.client("worker") as worker:
        assert worker.ping()


def test_while_it_reads_its_data_it_has_not_begun_and_is_not_killed(server: RedisPod) -> None:
    with server.client("admin") as admin, admin.pipeline(transaction=False) as pipe:
        for number in range(20_000):
            pipe.set(f"siteferry:run:{number}", "x")
        pipe.execute()
    server.stop()
    # A millisecond for each command that is read: twenty seconds, of which none is waited for.
    server.begin("--key-load-delay", "1000")
    wait_until(lambda: server.is_well("livenessProbe"), "it does not answer")
    assert well(server) == [False, True, True]


def test_the_user_of_the_probe_can_do_nothing_else(server: RedisPod) -> None:
    password = of_kind(server.secrets, "Secret")["siteferry-redis-server"]["stringData"][
        "probe-password"
    ]
    with redis.Redis(
        port=server.port, username="siteferry-probe", password=password, driver_info=None
    ) as client:
        assert client.ping()
        for command in (["GET", "siteferry:live"], ["INFO"], ["CONFIG", "GET", "*"]):
            with pytest.raises(redis.exceptions.NoPermissionError):
                client.execute_command(*command)


COUNT = """
local type = redis.call('type', KEYS[1]).ok
if type == 'hash' then return redis.call('hlen', KEYS[1]) end
return redis.call('llen', KEYS[1])
"""
"""What KEDA's scaler asks (`pkg/scalers/redis_scaler.go`, 2.17.0 to 2.20.2): after the type of the
key, how long it is; of one that is not there, as of a list."""


def test_keda_sees_how_much_work_there_is_and_nothing_else(server: RedisPod) -> None:
    with server.client("admin") as admin:
        admin.lpush(f"siteferry:{SHARED_QUEUE}", "one", "two")
        admin.hset("siteferry:unacked", "tag", "three")
        admin.set("siteferry:run:one", "x")
    with server.client("keda") as keda:
        assert keda.eval(COUNT, 1, f"siteferry:{SHARED_QUEUE}") == 2
        assert keda.eval(COUNT, 1, "siteferry:unacked") == 1
        for command in (
            ["LRANGE", f"siteferry:{SHARED_QUEUE}", 0, -1],
            ["HGETALL", "siteferry:unacked"],
            ["RPOP", f"siteferry:{SHARED_QUEUE}"],
            ["EVAL", COUNT, 1, "siteferry:run:one"],
            ["EVAL", "return redis.call('get', KEYS[1])", 1, "siteferry:run:one"],
        ):
            with pytest.raises(redis.exceptions.NoPermissionError):
                keda.execute_command(*command)


def test_what_kedas_library_says_first_is_refused_without_harm(server: RedisPod) -> None:
    """go-redis 9 logs in with HELLO, goes on after what the server refuses it (`initConn`), and
    asks with EVAL; the two commands are none of the user's business."""
    login = data_of(server.secrets, "Secret", "siteferry-redis-keda")
    with redis.Redis(port=server.port, protocol=3, driver_info=None, **login) as keda:
        for command in (
            ["CLIENT", "MAINT_NOTIFICATIONS", "ON", "moving-endpoint-type", "external-ip"],
            ["CLIENT", "SETINFO", "LIB-NAME", "go-redis"],
        ):
            with pytest.raises(redis.ResponseError):
                keda.execute_command(*command)
        assert keda.ping()
        assert keda.eval(COUNT, 1, f"siteferry:{SHARED_QUEUE}") == 0


def test_who_comes_over_the_network_is_asked_for_a_login_and_not_turned_away(
    server: RedisPod,
) -> None:
    """Without a password for `default` Redis would be in its protected mode, for loopback alone."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            asking.connect(("192.0.2.1", 9))  # sends nothing: the kernel chooses our address
        except OSError:
            pytest.skip("this machine has no address but loopback")
        own = asking.getsockname()[0]
    server.stop()
    server.begin("--bind", f"{HOST} {own}")
    wait_until(lambda: server.is_well("startupProbe"), "it does not start")
    login = data_of(server.secrets, "Secret", "siteferry-redis-worker")
    with redis.Redis(host=own, port=server.port, driver_info=None, **login) as worker:
        assert worker.ping()
