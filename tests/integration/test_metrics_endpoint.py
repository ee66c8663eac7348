"""The metrics over HTTP: who is answered, with what, and who cannot be in the way."""

from __future__ import annotations

import http.client
import logging
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from scheduler import metrics_endpoint
from scheduler.metrics import LedgerCollector
from scheduler.metrics_server import MetricsServer, metrics_server
from siteferry.errors import ConfigurationError, CredentialAbsent
from siteferry.ledger.connection import Connection, connect
from siteferry.ledger.items import Items
from siteferry.ledger.runs import Runs
from siteferry.ledger.slots import SlotLedger
from siteferry.run import RunState
from siteferry.secret import Secret
from siteferry.settings.document import parse_document
from siteferry.settings.loading import settings_of
from siteferry.settings.models import Settings
from tests.integration.test_ledger import new_run
from tests.metrics_scrape import scrape
from tests.private_redis import RedisServer
from tests.servers.certificate import Certificate

TOKEN = "a-token-of-the-tests"
Serve = Callable[..., MetricsServer]


@pytest.fixture
def serve(connection: Connection) -> Iterator[Serve]:
    """`serve(host=..., port=..., token=..., tls=...)` starts one, by default at any free port."""
    with ExitStack() as at_the_end:

        def start(
            host: str = "127.0.0.1",
            port: int = 0,
            token: str | None = None,
            tls: ssl.SSLContext | None = None,
        ) -> MetricsServer:
            registry = CollectorRegistry(auto_describe=False)
            hurried = connection.hurried(1.2)
            at_the_end.callback(hurried.client.close)
            registry.register(LedgerCollector(hurried, lambda: ["example"]))
            secret = Secret(token) if token is not None else None
            server = MetricsServer(registry, host, port, secret, tls)
            server.start()
            at_the_end.callback(server.stop)
            return server

        yield start


def port_of(server: MetricsServer) -> int:
    return int(server.url.rpartition(":")[2].partition("/")[0])


def connected(server: MetricsServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port_of(server)), timeout=10)


def test_a_scrape_tells_what_the_ledger_has(connection: Connection, serve: Serve) -> None:
    Runs(connection).start(new_run("run-1"))
    Items(connection).fail_run("run-1", RunState.FAILED, None, spare_publish=False)
    Runs(connection).start(new_run("run-2"))
    SlotLedger(connection).beat("node-a", [])
    found = scrape(serve().url)
    assert found.headers["Content-Type"].startswith("text/plain; version=")
    assert found.value("ledger_up") == 1
    assert found.value("runs_ended_total", direction="import", state="failed") == 1
    assert found.value("runs_ended_total", direction="import", state="done") == 0
    assert found.value("runs", state="queued") == 1
    assert found.value("items", place="sent") == 1
    assert found.value("workers") == 1
    assert found.value("account_slots_configured", account="u@h:21") == 3
    assert found.value("last_run_state", site="example", state="failed") == 1
    assert found.value("website_scheduled", site="example") == 1
    assert "siteferry_last_good_run_timestamp_seconds" not in found.names()


def test_it_speaks_openmetrics_to_who_asks_for_it(serve: Serve) -> None:
    found = scrape(serve().url, Accept="application/openmetrics-text;version=1.0.0")
    assert found.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert found.text.endswith("# EOF\n")


def test_without_the_token_nobody_is_told_anything(serve: Serve) -> None:
    url = serve(token=TOKEN).url
    refused = [
        scrape(url),
        scrape(url, ""),
        scrape(url, TOKEN[:-1]),
        scrape(url, TOKEN + "x"),
        scrape(url, TOKEN.upper()),
        scrape(url, "tökén"),
        scrape(url, Authorization=f"Basic {TOKEN}"),
        scrape(url, Authorization=TOKEN),
        scrape(f"{url}?token={TOKEN}"),
        scrape(f"{url}/elsewhere"),
        scrape(url, method="HEAD"),
    ]
    assert [answer.code for answer in refused] == [401] * len(refused)
    assert all(a.headers["WWW-Authenticate"] == 'Bearer realm="siteferry"' for a in refused)
    assert not any("siteferry_" in answer.text or TOKEN in answer.text for answer in refused)
    assert scrape(url, TOKEN).value("ledger_up") == 1
    assert scrape(url, Authorization=f"bearer  {TOKEN}").code == 200


def test_there_is_one_path_to_read_and_nothing_to_write(serve: Serve) -> None:
    server = serve()
    url = server.url
    assert scrape(url.removesuffix("metrics")).code == 404
    assert scrape(f"{url}?name[]=x").code == 200
    head = scrape(url, method="HEAD")
    assert head.code == 200
    assert int(head.headers["Content-Length"]) > 1000
    with closing(connected(server)) as raw:
        raw.sendall(b"HEAD /metrics HTTP/1.1\r\n\r\n")
        assert raw.makefile("rb").read().endswith(b"\r\n\r\n"), "an answer to HEAD has no body"
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        refused = scrape(url, method=method)
        assert (refused.code, refused.headers["Allow"]) == (405, "GET, HEAD"), method
    assert scrape(url, method="BREW").code == 501


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("http://[x/metrics", 400),
        ("http://[::1]/metrics", 200),
        ("http://x]/metrics", 400),
        ("http://h/other", 404),
    ],
)
def test_an_address_that_is_none_is_refused_without_a_word_in_the_log(
    serve: Serve, target: str, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(connected(serve())) as raw:
        raw.sendall(f"GET {target} HTTP/1.1\r\n\r\n".encode())
        with raw.makefile("rb") as answer:
            assert answer.readline().startswith(f"HTTP/1.0 {code} ".encode())
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_while_redis_is_away_only_that_is_told(redis_server: RedisServer, serve: Serve) -> None:
    url = serve().url
    whole = scrape(url).names()
    redis_server.stop()
    begun = time.monotonic()
    found = scrape(url)
    assert time.monotonic() - begun < 3
    assert (found.code, found.value("ledger_up")) == (200, 0)
    assert found.names() == {
        "siteferry_ledger_up", "siteferry_build_info", "siteferry_website_scheduled",
    }  # fmt: skip
    redis_server.start()
    assert scrape(url).names() == whole


def test_a_redis_that_hangs_is_told_within_three_seconds(
    redis_server: RedisServer, serve: Serve
) -> None:
    url = serve().url
    scrape(url)
    with redis_server.client() as admin:
        admin.client_pause(4000)
    begun = time.monotonic()
    assert scrape(url).value("ledger_up") == 0
    assert time.monotonic() - begun < 3
    while scrape(url).value("ledger_up") == 0:
        assert time.monotonic() - begun < 20, "it has come back, and nobody sees it"


def test_that_redis_is_away_is_logged_once(
    redis_server: RedisServer, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    server = serve(token=TOKEN)
    redis_server.stop()
    for _ in range(3):
        scrape(server.url, TOKEN)
        scrape(server.url)
    told = [record.getMessage() for record in caplog.records]
    assert sum("no metrics of the ledger" in text for text in told) == 1
    assert sum("metrics are told" in text for text in told) == 1
    assert len(told) == 2, "no line for a scrape"
    assert TOKEN not in caplog.text


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])  # noqa: S104
def test_who_can_be_reached_from_elsewhere_needs_a_token(serve: Serve, host: str) -> None:
    with pytest.raises(ConfigurationError, match="there is no token") as refused:
        serve(host=host)
    assert refused.value.exit_code == 2
    assert "SITEFERRY_METRICS_TOKEN_FILE" in refused.value.next_step


def test_with_a_token_it_listens_wherever_it_is_told(serve: Serve) -> None:
    server = serve(host="0.0.0.0", token=TOKEN)  # noqa: S104
    url = server.url.replace("0.0.0.0", "127.0.0.1")  # noqa: S104
    assert scrape(url).code == 401
    assert scrape(url, TOKEN).code == 200


@pytest.mark.parametrize("token", ["", "short", "with a space in it", "line\nbreak-and-more"])
def test_what_is_no_token_is_refused_at_the_start(serve: Serve, token: str) -> None:
    with pytest.raises(ConfigurationError, match=r"metrics\.token is no token") as refused:
        serve(token=token)
    assert not token or token not in str(refused.value)


def test_a_port_that_is_taken_is_told_with_what_may_have_it(serve: Serve) -> None:
    first = serve()
    with pytest.raises(ConfigurationError, match=r"port \d+ of 127\.0\.0\.1 is taken") as refused:
        serve(port=port_of(first))
    assert "Another `siteferry beat` on this machine" in refused.value.next_step
    first.stop()
    serve(port=port_of(first) or 1)


def test_an_address_that_is_not_ours_is_told(serve: Serve) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot listen at 192\.0\.2\.1:"):
        serve(host="192.0.2.1", token=TOKEN)
    with pytest.raises(ConfigurationError, match="has no address"):
        serve(host="no-such-host.invalid")


def test_after_the_stop_nobody_answers(serve: Serve) -> None:
    server = serve()
    url = server.url
    server.stop()
    server.stop()
    with pytest.raises(OSError, match="refused"):
        scrape(url)


def test_a_client_that_sends_a_byte_at_a_time_holds_up_nobody_and_is_hung_up_on(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics_endpoint, "REQUEST_SECONDS", 0.6)
    server = serve()
    with closing(connected(server)) as slow:
        begun, pieces = time.monotonic(), 0
        slow.settimeout(0.1)
        while time.monotonic() - begun < 5:
            slow.sendall(b"G")
            pieces += 1
            assert scrape(server.url).code == 200
            try:
                if slow.recv(1) == b"":
                    break
            except TimeoutError:
                continue
            except ConnectionError:
                break
        assert time.monotonic() - begun < 3
        assert pieces > 2


def test_more_clients_than_there_are_places_are_hung_up_on_at_once(serve: Serve) -> None:
    server = serve()
    begun = time.monotonic()
    with ExitStack() as open_ones:
        for _ in range(metrics_endpoint.MOST_REQUESTS):
            open_ones.enter_context(closing(connected(server)))
        with closing(connected(server)) as one_more:
            assert one_more.recv(1) == b""
        assert time.monotonic() - begun < metrics_endpoint.REQUEST_SECONDS
    begun = time.monotonic()
    while not answers(server):
        assert time.monotonic() - begun < 10, "the places are never free again"


def answers(server: MetricsServer) -> bool:
    try:
        return scrape(server.url).code == 200
    except OSError:
        return False


def test_over_tls_plain_text_gets_no_answer_and_a_silent_client_holds_up_nobody(
    serve: Serve, certificate: Certificate
) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.file, certificate.key)
    server = serve(token=TOKEN, tls=context)
    assert server.url.startswith("https://")
    trusts = ssl.create_default_context(cafile=str(certificate.file))
    with closing(connected(server)):
        assert scrape(server.url, TOKEN, trusts=trusts).value("ledger_up") == 1
    with pytest.raises((http.client.HTTPException, OSError)):
        scrape(server.url.replace("https:", "http:"), TOKEN)
    assert scrape(server.url, TOKEN, trusts=trusts).code == 200


# -- from the settings -----------------------------------------------------------------------------


def settings(text: str, folder: Path) -> Settings:
    file = folder / "siteferry.yaml"
    found, problems = settings_of(parse_document(text.encode(), file.name), file, {})
    assert found is not None, problems
    return found


def test_by_default_there_are_metrics_on_loopback(connection: Connection) -> None:
    made = metrics_server(Settings(), connection)
    assert made is not None
    assert (made.host, made.port, made.token) == ("127.0.0.1", 9808, None)


def test_they_do_not_wait_for_redis_as_long_as_the_beat_does(redis_server: RedisServer) -> None:
    patient = connect(redis_server.url, patience_seconds=60)
    made = metrics_server(Settings(), patient)
    assert made is not None
    made.port = 0
    made.start()
    redis_server.stop()
    begun = time.monotonic()
    assert scrape(made.url).value("ledger_up") == 0
    assert time.monotonic() - begun < 3
    made.stop()
    patient.client.close()


def test_they_can_be_switched_off(connection: Connection, tmp_path: Path) -> None:
    assert metrics_server(settings("metrics: {enabled: false}", tmp_path), connection) is None


def test_the_token_comes_from_a_store_that_is_referred_to(
    connection: Connection, tmp_path: Path
) -> None:
    (tmp_path / "secrets").mkdir()
    text = (
        "credentials: {mounted: {directory: secrets}}\n"
        "metrics: {token: '${credential:mounted:metrics/TOKEN}'}\n"
    )
    with pytest.raises(CredentialAbsent):
        metrics_server(settings(text, tmp_path), connection)
    (tmp_path / "secrets/metrics").mkdir()
    (tmp_path / "secrets/metrics/TOKEN").write_text(f"{TOKEN}\n")
    made = metrics_server(settings(text, tmp_path), connection)
    assert made is not None
    assert made.token is not None
    assert made.token.reveal() == TOKEN


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("metrics: {key_file: x.pem}", "stands without metrics.cert_file"),
        ("metrics: {cert_file: x.pem}", "cannot be used: No such file"),
        ("metrics: {cert_file: siteferry.yaml}", "cannot be used: .*PEM"),
    ],
)
def test_a_certificate_that_cannot_be_used_is_told(
    connection: Connection, tmp_path: Path, text: str, told: str
) -> None:
    (tmp_path / "siteferry.yaml").write_text(text)
    with pytest.raises(ConfigurationError, match=told):
        metrics_server(settings(text, tmp_path), connection)
