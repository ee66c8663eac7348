"""Redis over TLS: an import through a worker, and what is said where the two do not trust."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.clear_errors import SITE, assert_clear
from tests.conftest import unavailable
from tests.installation import Installation, tree_of, write_tree
from tests.private_redis import RedisServer
from tests.servers.base import PASSWORD, FtpServer
from tests.servers.certificate import Certificate, make_certificate
from tests.servers.ports import PortBlock

Start = Callable[..., RedisServer]


@pytest.fixture
def started() -> Iterator[Start]:
    """`started(tls=certificate)`: Debian's Redis, which speaks TLS, on a port of its own."""
    binary = shutil.which("redis-server")
    if binary is None:
        unavailable("redis-server is not installed (Debian: apt install redis-server)")
    with ExitStack() as at_the_end:

        def start(
            tls: Certificate | None = None, more: Mapping[str, str] | None = None
        ) -> RedisServer:
            ports = PortBlock()
            at_the_end.callback(ports.release)
            server = RedisServer(binary, port=ports.control, tls=tls, more=more)
            at_the_end.callback(server.remove)
            return server

        yield start


def made(folder: Path, name: str, **options: object) -> Certificate:
    (folder / name).mkdir()
    return make_certificate(folder / name, **options)  # type: ignore[arg-type]


def installation(folder: Path, url: str, **redis: object) -> Installation:
    site = Installation(folder / "site", redis=url)
    site.configure(redis={"patience_seconds": 2, **redis})
    return site


@pytest.mark.slow
def test_an_import_through_a_worker_over_tls(
    certificate: Certificate, pyftpd_server: FtpServer, started: Start, tmp_path: Path
) -> None:
    redis = started(tls=certificate)
    site = installation(tmp_path, redis.tcp_url, ca_file=str(certificate.file))
    source = site.add_site(pyftpd_server)
    write_tree(source, SITE)
    with site.process("worker"):
        outcome = site.run("import", "example")
    assert outcome.code == 0, outcome.output
    assert "NOT checked" not in outcome.output
    assert tree_of(pyftpd_server.root / "public_html") == tree_of(source)


@pytest.mark.slow
def test_a_redis_that_asks_for_certificates_gets_ours_from_every_process(
    certificate: Certificate, pyftpd_server: FtpServer, started: Start, tmp_path: Path
) -> None:
    asks = {"--tls-auth-clients": "yes", "--tls-ca-cert-file": str(certificate.file)}
    redis = started(tls=certificate, more=asks)
    own = {"cert_file": str(certificate.file), "key_file": str(certificate.key)}
    site = installation(tmp_path, redis.tcp_url, ca_file=str(certificate.file), **own)
    write_tree(site.add_site(pyftpd_server), SITE)
    with site.process("worker"):
        outcome = site.run("import", "example")
    assert outcome.code == 0, outcome.output
    site.configure(redis={"patience_seconds": 1, "ca_file": str(certificate.file)})
    assert_clear(
        site,
        site.run("runs"),
        7,
        "redis.cert_file and redis.key_file",
        secrets=[PASSWORD],
    )


@pytest.mark.parametrize(
    "arguments", [["import", "example"], ["worker"]], ids=["command", "worker"]
)
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "self-signed certificate"),
        ({"days": 0}, "certificate has expired"),
        ({"host": "redis.example.com"}, "IP address mismatch"),
    ],
    ids=["unknown authority", "expired", "another host's"],
)
def test_a_certificate_that_is_not_trusted_ends_with_code_7_at_once(
    options: dict[str, object],
    words: str,
    arguments: list[str],
    pyftpd_server: FtpServer,
    started: Start,
    tmp_path: Path,
) -> None:
    shown = made(tmp_path, "shown", **options)
    trusted = shown if options else made(tmp_path, "trusted")
    site = installation(tmp_path, started(tls=shown).tcp_url, ca_file=str(trusted.file))
    write_tree(site.add_site(pyftpd_server), SITE)
    assert_clear(
        site,
        site.run(*arguments, timeout=20),
        7,
        "the certificate of Redis is not trusted",
        words,
        "Check the host name in the Redis URL, and redis.ca_file",
        secrets=[PASSWORD],
    )


def test_without_a_ca_file_the_systems_authorities_count(
    certificate: Certificate, started: Start, tmp_path: Path
) -> None:
    site = installation(tmp_path, started(tls=certificate).tcp_url)
    outcome = site.run("runs")
    assert_clear(site, outcome, 7, "the certificate of Redis is not trusted", secrets=[])


def test_checks_are_off_only_where_that_is_written_and_then_it_is_said_aloud(
    started: Start, tmp_path: Path
) -> None:
    shown = made(tmp_path, "shown", days=0, host="redis.example.com")
    site = installation(tmp_path, started(tls=shown).tcp_url, verify=False)
    outcome = site.run("runs")
    assert outcome.code == 0, outcome.output
    assert "the certificate of Redis is NOT checked: redis.verify is false" in outcome.stderr


@pytest.mark.parametrize("where", ["command line", "environment", "configuration"])
def test_a_url_cannot_switch_the_checks_off(
    where: str, certificate: Certificate, started: Start, tmp_path: Path
) -> None:
    url = f"{started(tls=certificate).tcp_url}?ssl_cert_reqs=none"
    site = installation(tmp_path, "")
    if where == "environment":
        site.redis = url
    elif where == "configuration":
        site.configure(redis={"url": url})
    outcome = site.run(*(["--redis", url] if where == "command line" else []), "runs")
    assert_clear(site, outcome, 2, "ssl_ options", secrets=[])


def test_a_redis_without_tls_is_told_from_one_that_is_away(
    certificate: Certificate, started: Start, tmp_path: Path
) -> None:
    url = started().tcp_url.replace("redis://", "rediss://")
    site = installation(tmp_path, url, ca_file=str(certificate.file))
    assert_clear(
        site, site.run("runs"), 7, "Perhaps it speaks no TLS at this port", "redis://", secrets=[]
    )


def test_a_url_without_tls_for_a_redis_with_it_is_told(
    certificate: Certificate, started: Start, tmp_path: Path
) -> None:
    url = started(tls=certificate).tcp_url.replace("rediss://", "redis://")
    site = installation(tmp_path, url)
    assert_clear(
        site, site.run("runs"), 7, "Perhaps it speaks TLS at this port", "rediss://", secrets=[]
    )


def test_what_was_meant_to_be_encrypted_does_not_go_in_plain(
    certificate: Certificate, tmp_path: Path
) -> None:
    site = installation(tmp_path, "redis://127.0.0.1:1", ca_file=str(certificate.file))
    assert_clear(
        site,
        site.run("runs"),
        2,
        "redis.ca_file is for TLS, and the Redis URL asks for none",
        secrets=[],
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "cannot be read: No such file"), ("not a certificate", "is not what it must be")],
)
def test_a_ca_file_that_is_none_is_told_with_its_key(
    content: str | None, words: str, tmp_path: Path
) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    site = installation(tmp_path, "rediss://127.0.0.1:1", ca_file=str(file))
    assert_clear(site, site.run("runs"), 2, f"redis.ca_file {file} {words}", secrets=[])
