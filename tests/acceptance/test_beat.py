"""`siteferry beat` as it runs for an operator: its metrics, and the probes beside it."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.beat_at import Clocked
from tests.holdings import wait_until
from tests.installation import Installation
from tests.metrics_scrape import scrape
from tests.private_redis import RedisServer
from tests.probing import Probing
from tests.scheduling import at
from tests.servers.base import FtpServer

TOKEN = "0123456789abcdef"


@pytest.fixture
def port() -> int:
    """One that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        number = free.getsockname()[1]
    return int(number)


@pytest.fixture
def site(
    redis_server: RedisServer, pyftpd_server: FtpServer, tmp_path: Path, port: int
) -> Installation:
    site = Installation(tmp_path, redis=redis_server.url)
    site.configure(metrics={"listen": f"127.0.0.1:{port}"})
    site.environment["SITEFERRY_METRICS_TOKEN"] = TOKEN
    source = site.add_site(
        pyftpd_server.fresh(), schedule={"cron": "0 0 1 1 *", "timezone": "Europe/Vilnius"}
    )
    (source / "index.html").write_text("hello")
    return site


def test_beat_tells_the_metrics_of_a_run_that_a_worker_has_carried(
    site: Installation, port: int
) -> None:
    url = f"http://127.0.0.1:{port}/metrics"
    with site.process("worker"), site.process("beat"):
        Probing(site).wait("ready", 0, 20, meanwhile_alive=False)
        assert site.run("import", "example").code == 0
        assert scrape(url).code == 401
        wait_until(
            lambda: (
                ("siteferry_website_scheduled", frozenset({("site", "example")}))
                in scrape(url, TOKEN).values
            ),
            "the schedule is not told",
        )
        told = scrape(url, TOKEN)
        assert told.value("ledger_up") == 1
        assert told.value("files_transferred_total", direction="import") == 1
        assert told.value("runs_ended_total", direction="import", state="done") == 1
        assert told.value("last_run_state", site="example", state="done") == 1
        assert told.value("workers") == 1


def test_the_probes_of_beat_tell_of_a_redis_that_is_away_and_of_a_process_that_stands_still(
    site: Installation, redis_server: RedisServer
) -> None:
    assert site.redis is not None
    site.configure(redis={"url": site.redis})
    probing, clocked = Probing(site), Clocked(site)
    clocked.set(at("12:00:00"))
    with clocked.scheduler() as beat:
        probing.wait("ready", 0, 10)
        (record,) = probing.records()
        assert (record["kind"], record["pid"]) == ("beat", beat.process.pid)
        beat.pause()
        assert "written 1" in probing.wait("alive", 1, 13).line
        beat.go_on()
        probing.wait("alive", 0, 5)
        redis_server.stop()
        clocked.set(at("12:00:30"))  # it asks Redis at each turn
        assert "Redis has not answered for" in probing.wait("ready", 1, 10).line
        redis_server.start()
        probing.wait("ready", 0, 10)
        beat.process.terminate()
        assert beat.process.wait(10) == 0
        assert probing.records() == []


def test_a_second_beat_on_the_machine_says_whose_port_it_is(site: Installation, port: int) -> None:
    with site.process("beat"):
        Probing(site).wait("ready", 0, 20, meanwhile_alive=False)
        outcome = site.run("beat")
    assert outcome.code == 2
    assert f"port {port} of 127.0.0.1 is taken" in outcome.output
    assert "metrics.listen" in outcome.output
