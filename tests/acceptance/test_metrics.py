"""Prometheus' view of real imports: its numbers are those of the reports."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scheduler.metrics_server import MetricsServer, metrics_server
from siteferry.ledger.connection import Connection
from siteferry.settings import Settings
from tests.acceptance.test_two_workers import wait_for_workers
from tests.installation import Installation, put_on_server, write_tree
from tests.integration.test_broker_guards import wait_for
from tests.metrics_scrape import Answer, scrape
from tests.private_redis import RedisServer
from tests.servers.base import FtpServer, remove_tree

IMPORT = {"direction": "import"}


@pytest.fixture
def server(connection: Connection) -> Iterator[MetricsServer]:
    made = metrics_server(Settings(), connection)
    assert made is not None
    made.port = 0
    made.start()
    yield made
    made.stop()


def counters(found: Answer) -> dict[str, float]:
    """Those that are not 0, without their labels but `state` and `reason`."""
    return {
        " ".join([name.removeprefix("siteferry_"), *(v for k, v in labels if k != "direction")]): n
        for (name, labels), n in found.values.items()
        if name.endswith("_total") and n
    }


@pytest.mark.slow
def test_the_metrics_of_real_imports_are_exact(
    pyftpd_server: FtpServer, redis_server: RedisServer, server: MetricsServer, tmp_path: Path
) -> None:
    site = Installation(tmp_path, redis=redis_server.url)
    site.configure(batch={"files": 4})
    source = site.add_site(pyftpd_server, delete={"mode": "published"}, ftp={"max_connections": 3})
    tree = {f"{n % 3}/page-{n:02}.html": "x" * n for n in range(20)}
    write_tree(source, tree)
    put_on_server(pyftpd_server, {"0/page-00.html/inner.txt": "in the way"})
    begun = time.time()
    with site.process("worker"):
        wait_for_workers(redis_server, 1)
        assert site.run("plan", "example").code == 0
        assert counters(scrape(server.url)) == {}, "a dry run is none that publishes"

        # A directory stands where a file must go: all is sent, nothing is published.
        first = site.run("import", "example", "--json", "--quiet")
        assert first.code == 1, first.output
        assert first.json["stats"]["failed"] == 1
        after_first = scrape(server.url)
        assert counters(after_first) == {
            "runs_ended_total incomplete": 1,
            "files_transferred_total": 20,
            "files_failed_total": 1,
            "transferred_bytes_total": sum(range(20)),
        }
        assert after_first.value("last_run_state", site="example", state="incomplete") == 1
        assert "siteferry_last_good_run_timestamp_seconds" not in after_first.names()

        remove_tree(pyftpd_server.root / "public_html/0/page-00.html")
        second = site.run("import", "example", "--json", "--quiet")
        assert second.code == 0, second.output
        adopted = second.json["stats"]["adopted"]
        adopted_bytes = second.json["stats"]["bytes"]
        assert adopted == 19, "the one that could not be published was sent anew"
        (source / "1/page-01.html").unlink()
        (source / "2/page-02.html").write_text("changed")
        third = site.run("import", "example", "--json", "--quiet")
        assert third.code == 0, third.output
        assert third.json["stats"]["deleted"] == 1

        found = scrape(server.url)
        assert counters(found) == {
            "runs_ended_total incomplete": 1,
            "runs_ended_total done": 2,
            "files_transferred_total": 20 + 20 + 1,
            "files_adopted_total": adopted,
            "files_skipped_total": 18,
            "files_deleted_total": 1,
            "files_failed_total": 1,
            "transferred_bytes_total": 2 * sum(range(20)) + len("changed"),
            "adopted_bytes_total": adopted_bytes,
        }
        account = f"{pyftpd_server.user}@{pyftpd_server.host}:{pyftpd_server.port}"
        assert found.value("account_slots_configured", account=account) == 3
        assert found.value("account_stopped", account=account) == 0
        assert found.value("workers") == 1
        assert found.value("runs", state="transferring") == 0
        good = found.value("last_good_run_timestamp_seconds", site="example")
        assert begun <= good <= time.time()
        assert good == found.value("last_run_timestamp_seconds", site="example")


@pytest.mark.slow
def test_what_goes_wrong_shows_while_it_does(
    pyftpd_server: FtpServer, redis_server: RedisServer, server: MetricsServer, tmp_path: Path
) -> None:
    site = Installation(tmp_path, redis=redis_server.url)
    slow = site.add_site(pyftpd_server, "slow", remote="slow", bandwidth="8k")
    write_tree(slow, {"large.bin": b"x" * 4_000_000})
    wrong = site.add_site(
        pyftpd_server, "wrong", remote="wrong", password="wrong", ftp={"username": "stranger"}
    )
    write_tree(wrong, {"a": "a"})
    run = site.run("import", "slow", "--detach").stdout.strip()
    found = scrape(server.url)
    assert (found.value("runs", state="queued"), found.value("workers")) == (1, 0)
    assert (found.value("items", place="sent"), found.value("queue_messages")) == (1, 1)
    with site.process("worker") as worker:
        wait_for("the file is not sent", lambda: sending(server))
        found = scrape(server.url)
        account = f"{pyftpd_server.user}@{pyftpd_server.host}:{pyftpd_server.port}"
        assert found.value("account_slots_used", account=account) == 1
        assert found.value("address_slots_used", address=pyftpd_server.host) == 1
        assert found.value("queue_messages") == 0
        assert site.run("import", "wrong").code == 3
        found = scrape(server.url)
        account = f"stranger@{pyftpd_server.host}:{pyftpd_server.port}"
        assert found.value("account_stopped", account=account) == 1
        assert found.value("accounts_stopped") == 1
        worker.kill()
    with site.process("worker"):
        wait_for("nobody goes on", lambda: retries(server, "died") == 1, seconds=30)
        assert site.run("cancel", run).code == 0
    told = site.run("status", run, "--json").json
    assert (told["state"], told["retries"]) == ("cancelled", 1)
    assert scrape(server.url).value("runs_ended_total", **IMPORT, state="cancelled") == 1


def sending(server: MetricsServer) -> bool:
    found = scrape(server.url)
    return bool(
        found.value("runs", state="transferring")
        and found.value("items", place="claimed")
        and found.value("workers")
        and any(name == "siteferry_address_slots_used" for name in found.names())
    )


def retries(server: MetricsServer, reason: str) -> float:
    return scrape(server.url).value("retries_total", **IMPORT, reason=reason)
