"""The users of config/redis-users.acl can do what they must, and nothing else."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from siteferry.broker import SHARED_QUEUE
from siteferry.ledger.connection import connect
from siteferry.ledger.metrics import read_metrics
from siteferry.secret import Secret
from tests.acceptance.test_two_workers import wait_for_workers
from tests.beat_at import Clocked
from tests.clear_errors import assert_clear
from tests.conftest import unavailable
from tests.installation import REPOSITORY, Installation, put_on_server, tree_of, write_tree
from tests.private_redis import RedisServer, redis_binary
from tests.scheduling import at
from tests.security.redis_users import PASSWORDS, client_as, denied, login, redis_with_users
from tests.security.test_flower import running_flower, wait_until
from tests.servers.base import PASSWORD, FtpServer, remove_tree

PRODUCER, BEAT, WORKER, FLOWER = PASSWORDS
HARMLESS = (FLOWER, "command", "toplevel client|setinfo")
"""Flower's own client, on its page about queues, names its library; it goes on without."""


@pytest.fixture(params=["bundled", "distribution"])
def guarded_redis(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RedisServer]:
    binary = redis_binary() if request.param == "bundled" else shutil.which("redis-server")
    if binary is None:
        unavailable(f"no Redis ({request.param})")
    with redis_with_users(binary, tmp_path) as server:
        yield server


@pytest.mark.slow
def test_producer_worker_and_flower_do_all_their_work_with_their_own_rights(
    pyftpd_server: FtpServer, guarded_redis: RedisServer, tmp_path: Path
) -> None:
    site = Installation(tmp_path / "site")
    site.configure(redis={"keep_runs": "2h"}, batch={"files": 5})
    source = site.add_site(pyftpd_server)
    write_tree(source, {f"{n % 3}/page-{n}.html": f"<p>{n}" for n in range(40)})
    slow = site.add_site(pyftpd_server, "slow", remote="slow", bandwidth="1k")
    write_tree(slow, {"large.bin": b"x" * 200_000})
    stranger = site.add_site(
        pyftpd_server, "stranger", remote="wrong", password="wrong", ftp={"username": "stranger"}
    )
    write_tree(stranger, {"a": "a"})
    put_on_server(pyftpd_server, {"0/page-0.html/inner.txt": "in the way"})

    login(site, guarded_redis, WORKER)
    with (
        running_flower(
            guarded_redis.tcp_url, tmp_path, username=FLOWER, password=PASSWORDS[FLOWER]
        ) as flower,
        site.process("worker", "--events"),
    ):
        login(site, guarded_redis, PRODUCER)
        wait_until(lambda: site.run("runs").code == 0, "the producer cannot list runs")
        wait_for_workers(guarded_redis, 1)
        wait_until(lambda: "siteferry@" in flower.get("/workers?json=1"), "Flower sees no worker")

        first = site.run("import", "example", "--json", "--quiet")
        assert first.code == 1, first.output
        remove_tree(pyftpd_server.root / "public_html/0/page-0.html")
        again = site.run("retry", first.json["run"])
        assert again.code == 0, again.output
        run = site.run("import", "slow", "--detach").stdout.strip()
        cancelled = site.run("cancel", run)
        assert cancelled.code == 0, cancelled.output
        assert site.run("watch", run).code == 8
        assert site.run("status", run).code == 0
        assert site.run("plan", "example").code == 0
        assert site.run("import", "stranger").code == 3
        stopped = site.run("account", "list", "--json").json[0]["account"]
        assert site.run("account", "resume", stopped).code == 0
        assert len(site.run("runs", "--json").json) == 5

        site.add_site(pyftpd_server, "timed", remote="timed", schedule={"cron": "* * * * *"})
        clocked = Clocked(site)
        clocked.set(at("00:00:10"))
        with clocked.scheduler() as scheduler:
            clocked.set(at("00:01:00"))
            scheduler.wait_for_turn()
        (listed,) = site.run("schedule", "list", "timed", "--json").json
        assert listed["last"]["outcome"] == "started", listed

        wait_until(lambda: flower.get("/api/tasks").count("SUCCESS") >= 5, "Flower sees no tasks")
        assert "siteferry@" in flower.get("/api/workers?refresh=1")
        assert flower.get("/broker")
    assert tree_of(pyftpd_server.root / "public_html") == tree_of(source)
    assert set(denied(guarded_redis)) <= {HARMLESS}


@pytest.mark.slow
def test_beat_starts_runs_and_tells_the_metrics_with_its_own_rights(
    pyftpd_server: FtpServer, guarded_redis: RedisServer, tmp_path: Path
) -> None:
    site = Installation(tmp_path / "site")
    write_tree(site.add_site(pyftpd_server), {"a.html": "a"})
    password = Secret(PASSWORDS[BEAT])
    beat = connect(guarded_redis.tcp_url, username=BEAT, password=password).hurried(2)
    login(site, guarded_redis, WORKER)
    with site.process("worker"):
        wait_for_workers(guarded_redis, 1)
        login(site, guarded_redis, BEAT)
        assert site.run("import", "example").code == 0
        found = read_metrics(beat, SHARED_QUEUE)
    beat.client.close()
    assert found.totals["ended done", "import"] == 1
    assert found.workers == 1
    assert [row.configured for row in found.accounts] == [8]
    assert len(found.addresses) == len(found.sites) == 1
    assert denied(guarded_redis) == []


Attempt = Callable[[redis.Redis], object]
NOBODY_MAY: dict[str, Attempt] = {
    "read another application's key": lambda client: client.get("other:key"),
    "write another application's key": lambda client: client.set("other:key", "1"),
    "reach it from a script": lambda client: client.evalsha(
        client.script_load("return redis.call('GET', 'other:key')"), 0
    ),
    "list all keys": lambda client: client.keys("*"),
    "scan all keys": lambda client: client.scan(),
    "empty the database": lambda client: client.flushdb(),
    "empty the server": lambda client: client.flushall(),
    "change the configuration": lambda client: client.config_set("maxmemory", "1"),
    "make itself another user": lambda client: client.acl_setuser("x", enabled=True),
    "drop the scripts": lambda client: client.script_flush(),
    "read the configuration": lambda client: client.config_get("*"),
    "stop the server": lambda client: client.execute_command("SHUTDOWN"),
    "disconnect others": lambda client: client.execute_command("CLIENT", "KILL", "TYPE", "normal"),
    "hear other applications": lambda client: client.publish("other", "x"),
    "watch all commands": lambda client: client.execute_command("MONITOR"),
}
PRODUCER_MAY_NOT: dict[str, Attempt] = {
    "take a message": lambda client: client.brpop("siteferry:siteferry.work", 1),
    "read what is not acknowledged": lambda client: client.hgetall("siteferry:unacked"),
    "put into a worker's own queue": lambda client: client.lpush("siteferry:siteferry.node.a", "x"),
    "order workers about": lambda client: client.publish("siteferry:/0.celery.pidbox", "x"),
    "take a lease": lambda client: client.zadd("siteferry:slots:account:a", {"x": 1}),
    "become the sweeper": lambda client: client.set("siteferry:sweeper", "x"),
}
FLOWER_MAY_NOT: dict[str, Attempt] = {
    "read a run": lambda client: client.lrange("siteferry:run:x:waiting", 0, 1),
    "end a run": lambda client: client.delete("siteferry:run:x"),
    "change a run in a script": lambda client: client.evalsha(
        client.script_load("return redis.call('HSET', 'siteferry:run:x', 'state', 'done')"), 0
    ),
    "read an account": lambda client: client.hgetall("siteferry:account:a"),
}
ATTEMPTS = [
    *((user, what, attempt) for user in PASSWORDS for what, attempt in NOBODY_MAY.items()),
    *((PRODUCER, what, attempt) for what, attempt in PRODUCER_MAY_NOT.items()),
    *(
        (BEAT, what, attempt)
        for what, attempt in PRODUCER_MAY_NOT.items()
        # It counts leases, and before Redis 7.0 no user can be given a key to read only.
        if what != "take a lease"
    ),
    *((FLOWER, what, attempt) for what, attempt in FLOWER_MAY_NOT.items()),
]


def test_no_user_can_do_what_it_must_not(guarded_redis: RedisServer) -> None:
    with guarded_redis.client() as admin:
        admin.set("other:key", "another application's")
    went_otherwise = []
    for user, what, attempt in ATTEMPTS:
        with client_as(guarded_redis, user) as client:
            try:
                attempt(client)
                answer = "done"
            except redis.ResponseError as error:
                answer = str(error)
        if not re.search(r"permission|user executing the script can't", answer):
            went_otherwise.append(f"{user}, {what}: {answer}")
    assert went_otherwise == []


def test_who_has_not_logged_in_can_do_nothing(guarded_redis: RedisServer) -> None:
    with (
        redis.Redis.from_url(guarded_redis.url, driver_info=None, protocol=2) as client,
        pytest.raises(redis.AuthenticationError),
    ):
        client.get("siteferry:runs")


def test_every_command_of_the_scripts_is_among_the_workers_rights() -> None:
    text = (REPOSITORY / "config/redis-users.acl").read_text()
    line = next(line for line in text.splitlines() if line.startswith(f"user {WORKER} "))
    rights = set(re.findall(r"\+([a-z]+)", line))
    scripts = "".join(path.read_text() for path in (REPOSITORY / "siteferry").rglob("*.lua"))
    called = {name.lower() for name in re.findall(r"redis\.call\('([A-Z]+)'", scripts)}
    assert called
    assert called - rights == set()


def test_the_example_as_it_stands_is_refused_so_that_no_password_can_be_forgotten() -> None:
    binary = redis_binary()
    if binary is None:
        unavailable("no Redis")
    with pytest.raises(RuntimeError, match="ACL errors"):
        RedisServer(binary, users=REPOSITORY / "config/redis-users.acl")


def test_a_command_that_is_denied_ends_with_code_7_and_redis_own_words(
    pyftpd_server: FtpServer, guarded_redis: RedisServer, tmp_path: Path
) -> None:
    site = Installation(tmp_path / "site")
    write_tree(site.add_site(pyftpd_server), {"a.html": "a"})
    login(site, guarded_redis, FLOWER)
    outcome = site.run("import", "example")
    assert_clear(
        site,
        outcome,
        7,
        f"Redis does not let its user {FLOWER} do what this needs",
        "the server said: ",
        "script",
        "ACL LOG names each command",
        "config/redis-users.acl",
        secrets=[PASSWORD, *PASSWORDS.values()],
    )


def test_a_wrong_password_ends_command_and_worker_with_code_7(
    pyftpd_server: FtpServer, guarded_redis: RedisServer, tmp_path: Path
) -> None:
    site = Installation(tmp_path / "site")
    site.add_site(pyftpd_server)
    login(site, guarded_redis, WORKER)
    site.environment["SITEFERRY_REDIS_PASSWORD"] = "not-the-word"
    for arguments in (["runs"], ["worker"], ["beat"]):
        assert_clear(
            site,
            site.run(*arguments),
            7,
            "Redis refuses the user name or password",
            "Check SITEFERRY_REDIS_URL and SITEFERRY_REDIS_PASSWORD",
            secrets=["not-the-word"],
        )
