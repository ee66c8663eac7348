"""A marked password goes through imports, failures and crashes; then everything that the processes
have left or shown is searched for it."""

from __future__ import annotations

import base64
import json
import threading
import traceback
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

from siteferry.broker import make_broker
from siteferry.credentials import MemoryBackend, Stores, resolve_login
from siteferry.secret import Secret
from siteferry.settings import Settings, load_settings
from siteferry.websites import load_website
from tests.acceptance.test_two_workers import wait_for_workers
from tests.installation import Installation, Outcome, write_tree
from tests.private_redis import RedisServer
from tests.servers.base import PASSWORD, FtpServer
from tests.servers.scripted import ScriptedServer, turn

WRONG = 'Mar"ked/Wrong Tide:4711@x'
"""Changes its looks in JSON, in a repr and in a URL."""
MARKS = [PASSWORD, WRONG]


def forms(secret: str) -> set[bytes]:
    """What a secret may look like somewhere."""
    shapes = {secret, quote(secret, safe=""), repr(secret)[1:-1], json.dumps(secret)[1:-1]}
    encoded = {base64.b64encode(secret.encode())}
    return {shape.encode() for shape in shapes} | encoded


def assert_unmarked(content: bytes, where: str, marks: Iterable[str] = tuple(MARKS)) -> None:
    for secret in marks:
        for form in forms(secret):
            assert form not in content, f"a password stands in {where}"


@contextmanager
def watched(server: RedisServer) -> Iterator[bytearray]:
    """Every command that anybody sends to Redis, broker messages included, as MONITOR shows it."""
    seen = bytearray()
    client = server.client()
    stop = threading.Event()
    with client.monitor() as monitor:

        def listen() -> None:
            for command in monitor.listen():
                seen.extend(command["command"].encode("utf-8", "surrogateescape") + b"\n")
                if stop.is_set():
                    return

        listener = threading.Thread(target=listen, daemon=True)
        listener.start()
        yield seen
        stop.set()
        last = server.client()
        last.ping()
        last.close()
        listener.join(10)
    client.close()


def everything_in(server: RedisServer) -> bytes:
    """The content of every key, whatever its type; a DUMP would have it compressed."""
    client = server.client()
    readers = {
        b"string": client.get,
        b"hash": client.hgetall,
        b"list": lambda key: client.lrange(key, 0, -1),
        b"set": client.smembers,
        b"zset": lambda key: client.zrange(key, 0, -1),
    }
    held = b"".join(
        key + b" " + repr(readers[client.type(key)](key)).encode() + b"\n"
        for key in client.scan_iter()
    )
    client.close()
    return held


def command_lines() -> bytes:
    """Of every process, with its arguments."""
    found = b""
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found += process.read_bytes() + b"\n"
        except OSError:
            continue  # it has ended
    return found


@pytest.fixture
def installation(redis_server: RedisServer, tmp_path: Path) -> Installation:
    made = Installation(tmp_path, redis=redis_server.url)
    made.configure(log={"level": "debug", "format": "json"})
    return made


def run_everything(installation: Installation, *sites: str) -> Iterator[Outcome]:
    """Each command that reports, as text and as JSON, with the loudest log."""
    loud = ("--log-level", "debug")
    for form in ("text", "json"):
        log = (*loud, "--log-format", form)
        for site in sites:
            yield installation.run(*log, "import", site, *(["--json"] if form == "json" else []))
            yield installation.run(*log, "credential", "test", site)
            yield installation.run(*log, "credential", "env", site)
            yield installation.run(*log, "credential", "migrate", site, "--dry-run")
        for command in (
            ["runs"],
            ["status"],
            ["watch"],
            ["config", "check"],
            ["credential", "list"],
            ["account", "list"],
        ):
            yield installation.run(*log, *command, *(["--json"] if form == "json" else []))


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_password_is_nowhere_after_imports_failures_and_a_crash(
    pyftpd_server: FtpServer, redis_server: RedisServer, installation: Installation
) -> None:
    good = installation.add_site(pyftpd_server, "good", remote="good")
    write_tree(good, {f"page-{n}.html": f"<p>{n}" for n in range(300)})
    write_tree(
        installation.add_site(pyftpd_server, "wrong", remote="wrong", password=WRONG), {"a": "a"}
    )
    # As old files have it: in the file itself, and so the file is not searched.
    plain = installation.add_site(
        pyftpd_server, "plain", remote="plain", ftp={"password": pyftpd_server.password}
    )
    write_tree(plain, {"a": "a"})
    with watched(redis_server) as sent, ExitStack() as stack:
        doomed = stack.enter_context(installation.process("worker"))
        wait_for_workers(redis_server, 1)
        run = installation.run("import", "good", "--detach").stdout.strip()
        arguments = command_lines()
        doomed.kill()
        stack.enter_context(installation.process("worker"))
        crashed = installation.run("watch", run, "--json")
        assert crashed.code == 0, crashed.output
        outcomes = [crashed, *run_everything(installation, "good", "wrong", "plain")]
        arguments += command_lines()
    assert {outcome.code for outcome in outcomes} == {0, 3}
    for outcome in outcomes:
        assert_unmarked(outcome.output.encode(), f"the output:\n{outcome.output[:2000]}")
    assert_unmarked(bytes(sent), "what was sent to Redis")
    assert b"siteferry.files" in sent, "no broker message was seen"
    held = everything_in(redis_server)
    assert len(held) > 1000
    assert_unmarked(held, "what Redis holds")
    assert b"siteferry" in arguments
    assert_unmarked(arguments, "the arguments of a process")
    log = (installation.folder / "worker.log").read_bytes()
    assert b'"level": "debug"' in log or b'"level":"debug"' in log
    assert_unmarked(log, "a worker's log")
    websites = installation.folder / "config/websites"
    for path in installation.folder.rglob("*"):
        if path.is_file() and path.parent != websites:
            assert_unmarked(path.read_bytes(), str(path))


def test_a_server_that_says_the_password_again_is_not_believed_to_be_harmless(
    installation: Installation, redis_server: RedisServer
) -> None:
    """Its own line is quoted in reports, logs and the ledger: without the password."""
    refusal = [
        turn(("USER site", "331 password, please")),
        turn((f"PASS {WRONG}", f"530 {WRONG} is not the password of site")),
    ]
    with ScriptedServer(refusal) as server:
        installation.environment["P"] = WRONG
        website = {
            "website": {"name": "echo"},
            "ftp": {
                "host": server.host, "port": server.port, "security": "none",
                "username": "site", "password": "${P}", "remote_dir": "/",
            },
        }  # fmt: skip
        write_tree(
            installation.folder,
            {
                "config/websites/echo.yaml": json.dumps(website),
                "workspaces/echo/output/a": "a",
            },
        )
        with installation.process("worker"):
            wait_for_workers(redis_server, 1)
            outcome = installation.run("import", "echo", "--json")
    assert outcome.code == 3, outcome.output
    assert "is not the password of site" in outcome.output
    assert_unmarked(outcome.output.encode(), "the output")
    assert_unmarked((installation.folder / "worker.log").read_bytes(), "the log")


def test_settings_and_websites_show_no_password_however_they_are_dumped(
    installation: Installation, pyftpd_server: FtpServer
) -> None:
    installation.configure(redis={"url": "redis://127.0.0.1:1", "password": WRONG})
    installation.add_site(pyftpd_server, "plain", ftp={"password": PASSWORD, "username": "u"})
    settings = load_settings(installation.folder / "config/siteferry.yaml", {})
    website = load_website("plain", settings, {})
    shown = [
        *(f(model) for model in (settings, website) for f in (repr, str)),
        settings.model_dump_json(),
        website.model_dump_json(),
        repr(settings.model_dump()),
        repr(website.model_dump()),
        str(website.ftp),
    ]
    assert_unmarked("\n".join(shown).encode(), "a dump")


@pytest.mark.parametrize("url", ["redis://127.0.0.1:6379/0", "unix:///run/r.sock?db=1"])
def test_celerys_own_settings_show_no_password(url: str) -> None:
    """What `inspect conf` and `inspect stats`, a crash report or Flower would print."""
    app = make_broker(url, username="u", password=Secret(WRONG)).app
    info = app.connection_for_write().info()
    info.pop("password")  # as Celery does before a worker tells the rest
    shown = [
        repr(info),
        app.conf.humanize(with_defaults=True),
        app.bugreport(),
        repr(app),
        repr(app.conf.table(with_defaults=True, censored=True)),
        app.connection_for_write().as_uri(),
        repr(app.connection_for_write()),
    ]
    assert_unmarked("\n".join(shown).encode(), "Celery's settings")


def test_a_traceback_with_the_values_of_variables_shows_no_password() -> None:
    """As error trackers print them: the repr of each local of each frame."""
    settings = Settings()
    stores = Stores(settings, lambda *_: MemoryBackend({("plain", "FTP_PASSWORD"): Secret(WRONG)}))

    def fails() -> None:
        password = stores.get(None, "plain", "FTP_PASSWORD")
        raise RuntimeError(f"{password} is wrong")

    with pytest.raises(RuntimeError) as caught:
        fails()
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    text = "".join(shown.format())
    assert "Secret(**redacted**)" in text
    assert_unmarked(text.encode(), "a traceback")


def test_a_login_that_was_fetched_shows_no_password(
    installation: Installation, pyftpd_server: FtpServer
) -> None:
    installation.add_site(pyftpd_server, "plain", ftp={"username": "u", "password": WRONG})
    settings = load_settings(installation.folder / "config/siteferry.yaml", {})
    login = resolve_login(load_website("plain", settings, {}), Stores(settings))
    assert login.password == Secret(WRONG)
    assert_unmarked(f"{login!r} {login}".encode(), "a login")
