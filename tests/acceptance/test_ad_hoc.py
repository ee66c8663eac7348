"""`siteferry import ./DIR ftps://user@host/path`, with no file of configuration anywhere."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.acceptance.test_ending_runs import Hold
from tests.bare_place import BarePlace, url_of
from tests.installation import Installation, Outcome, tree_of, write_tree
from tests.private_redis import RedisServer
from tests.security.test_marked_password import assert_unmarked, command_lines
from tests.servers.base import FtpServer
from tests.servers.proxy import FtpProxy

FILES = {"index.html": "home", "css/a.css": "a {}", "blog/one.html": "1", "empty/": ""}
WRONG = "Wrong-Ferry-0000"
VARIABLE = "SITEFERRY_FTP_PASSWORD"


@pytest.fixture
def place(tmp_path: Path) -> BarePlace:
    made = BarePlace(tmp_path)
    write_tree(made.site, FILES)
    return made


def stats(outcome: Outcome) -> tuple[int, int]:
    """Files sent, and files that were up to date."""
    assert outcome.code == 0, outcome.output
    return outcome.json["stats"]["uploaded"], outcome.json["stats"]["skipped"]


def credential_of(server: FtpServer) -> str:
    return f"{server.user}-at-{server.host}-{server.port}"


def test_a_directory_is_published_and_then_only_what_has_changed(
    pyftpd_server: FtpServer, place: BarePlace
) -> None:
    server, url = pyftpd_server, url_of(pyftpd_server, "ftp")
    place.environment[VARIABLE] = server.password
    live = server.root / "public_html"

    planned = place.run("import", "./site", url, "--dry-run", "--json")
    assert planned.code == 0, planned.output
    assert tree_of(server.root) == {}

    first = place.run("import", "./site", url, "--json")
    assert stats(first) == (3, 0)
    assert "plain text" in first.stderr, "ftp:// is said loudly to be in the clear"
    assert first.json["site"].startswith(f"{credential_of(server)}-")
    assert first.json["site"].endswith("-public_html")
    assert tree_of(live) == tree_of(place.site)
    assert stats(place.run("import", "site/", url, "--json")) == (0, 3)

    write_tree(place.site, {"index.html": "news", "css/a.css": "b {}"})
    (place.site / "blog/one.html").unlink()
    some = place.run("import", "./site", url, "--json", "--only", "*.html", "--exclude", "css/")
    assert stats(some) == (1, 0)
    rest = place.run("import", "./site", url, "--json", "--delete", "--max-delete", "1")
    assert stats(rest) == (1, 1)
    assert rest.json["stats"]["deleted"] == 1
    assert tree_of(live) == tree_of(place.site)

    told = place.run("status", "--json")
    assert (told.json["run"], told.json["site"]) == (rest.json["run"], first.json["site"])
    assert sorted(path.name for path in place.folder.iterdir()) == ["home", "site"]


def test_ftps_checks_the_certificate_and_takes_its_authority_from_the_command_line(
    ftps_server: FtpServer, place: BarePlace
) -> None:
    server, url = ftps_server, url_of(ftps_server, "ftps")
    place.environment[VARIABLE] = server.password
    untrusted = place.run("import", "./site", url)
    assert untrusted.code == 4
    assert "--ca-file" in untrusted.output
    assert tree_of(server.root) == {}

    trusted = ("--ca-file", str(server.certificate))
    assert stats(place.run("import", "./site", url, *trusted, "--json")) == (3, 0)
    pinned = ("--fingerprint", f"sha256:{server.fingerprint}")
    assert stats(place.run("import", "./site", url, *pinned, "--json")) == (0, 3)
    place.environment["SSL_CERT_FILE"] = str(server.certificate)
    again = place.run("import", "./site", url, "--json")
    assert stats(again) == (0, 3)
    assert "plain text" not in again.stderr
    assert tree_of(server.root / "public_html") == tree_of(place.site)


def test_the_password_comes_from_a_file_the_store_or_the_terminal(
    pyftpd_server: FtpServer, place: BarePlace
) -> None:
    server, url = pyftpd_server, url_of(pyftpd_server, "ftp")
    publish = ("import", "./site", url, "--json")

    nowhere = place.run(*publish)
    assert nowhere.code == 3
    for way in (VARIABLE, f"{VARIABLE}_FILE", f"credential add {credential_of(server)}", "termina"):
        assert way in nowhere.stderr
    assert tree_of(server.root) == {}

    typed = place.run_at_terminal("import", "./site", url, typed=server.password)
    assert typed.code == 0, typed.output
    assert server.password not in typed.output, "nothing is echoed"
    assert tree_of(server.root / "public_html") == tree_of(place.site)

    (place.folder / "password").write_text(f"{server.password}\n")
    place.environment[f"{VARIABLE}_FILE"] = "password"
    assert stats(place.run(*publish)) == (0, 3)
    place.environment[VARIABLE] = WRONG
    assert f"both {VARIABLE}" in place.run(*publish).stderr
    place.environment.clear()

    added = place.run("credential", "add", credential_of(server), given=f"{server.password}\n")
    assert added.code == 0, added.output
    assert stats(place.run(*publish)) == (0, 3)


def test_a_refused_password_ends_with_3_and_retry_asks_for_another(
    pyftpd_server: FtpServer, place: BarePlace
) -> None:
    server, url = pyftpd_server, url_of(pyftpd_server, "ftp")
    place.environment[VARIABLE] = WRONG
    refused = place.run("import", "./site", url, "--json")
    assert refused.code == 3, refused.output
    assert WRONG not in refused.output
    run = refused.json["run"]

    # The host has refused it a moment ago: what is in a variable is not tried on and on.
    place.environment[VARIABLE] = server.password
    stopped = place.run("retry", run, "--json")
    assert stopped.code == 3
    assert "siteferry account resume" in stopped.output
    assert tree_of(server.root) == {}

    # What somebody types is.
    del place.environment[VARIABLE]
    assert place.run("retry", run).code == 3
    again = place.run_at_terminal("retry", run, typed=server.password)
    assert again.code == 0, again.output
    assert tree_of(server.root / "public_html") == tree_of(place.site)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["./site", f"ftps://u:{WRONG}@127.0.0.1/x"], "carries a password"),
        (["./site", f"ftp://u:{WRONG}/x@127.0.0.1/x"], "carries a password"),
        (["./site", f"sftp://u:{WRONG}@127.0.0.1/x"], "none of the schemes"),
        ([f"ftps://u:{WRONG}@127.0.0.1/x"], "one directory before it"),
        (["shop", "./site", f"ftps://u:{WRONG}@h/x"], "one directory before it"),
        (["./nowhere", "ftps://u@127.0.0.1/x"], "'./nowhere', does not exist"),
        (["./site", "ftps://u@127.0.0.1/x/../y"], "ftp.remote_dir"),
        (["./site", "ftp://u@127.0.0.1/x", "--fingerprint", "x"], "write ftps://"),
        (["./site", "ftps://u@127.0.0.1/x", "--detach"], "--detach needs a Redis"),
        (["shop", "--fingerprint", "x"], "go with a URL"),
        (["--all", "./site", "ftps://u@127.0.0.1/x"], "not both"),
    ],
)
def test_wrong_usage_is_told_without_an_echo(
    arguments: list[str], said: str, place: BarePlace
) -> None:
    refused = place.run("import", *arguments)
    assert refused.code == 2, refused.output
    assert said in refused.stderr
    assert WRONG not in refused.output
    assert not list(place.home.iterdir()), "nothing was started"


def test_the_password_stands_in_no_command_line_and_in_nothing_that_is_kept(
    pyftpd_server: FtpServer, place: BarePlace
) -> None:
    place.environment[VARIABLE] = pyftpd_server.password
    with FtpProxy.in_front_of(pyftpd_server) as proxy:
        server = pyftpd_server.through(proxy.port)
        hold = Hold(proxy, "STOR")
        argv = place.argv("--log-level", "debug", "import", "./site", url_of(server, "ftp"))
        with (place.folder / "output").open("wb") as output:
            command = subprocess.Popen(
                argv, env=place.env(), cwd=place.folder, stdout=output, stderr=output
            )
        try:
            hold.wait()
            lines = command_lines()
            assert b"\0worker\0" in lines
            assert_unmarked(lines, "a command line")
            run = place.run("runs", "--json").json[0]["run"]
            assert place.run("cancel", run).code == 0
        finally:
            hold.release()
            assert command.wait(60) == 8
        again = place.run("--log-level", "debug", "retry", run, "--json")
        assert stats(again) == (3, 0)
    assert tree_of(pyftpd_server.root / "public_html") == tree_of(place.site)
    kept = [path for path in place.folder.rglob("*") if path.is_file()]
    assert any("aof" in path.name for path in kept), "the ledger is among them"
    for path in kept:
        assert_unmarked(path.read_bytes(), str(path))
    assert_unmarked(again.output.encode(), "the output")


def test_the_workers_of_a_configured_redis_take_the_password_from_their_store(
    pyftpd_server: FtpServer, place: BarePlace, redis_server: RedisServer, tmp_path: Path
) -> None:
    server, url = pyftpd_server, url_of(pyftpd_server, "ftp")
    place.environment |= {"SITEFERRY_REDIS_URL": redis_server.url, VARIABLE: server.password}
    refused = place.run("import", "./site", url)
    assert refused.code == 2
    assert f"{credential_of(server)}/FTP_PASSWORD" in refused.stderr
    assert "siteferry init" in refused.stderr
    del place.environment[VARIABLE]

    workers = Installation(tmp_path / "workers", redis=redis_server.url)
    added = subprocess.run(
        workers.argv("credential", "add", credential_of(server)),
        env=workers.env(), input=f"{server.password}\n", text=True, capture_output=True,
    )  # fmt: skip
    assert added.returncode == 0, added.stderr
    with workers.process("worker"):
        assert stats(place.run("import", "./site", url, "--json")) == (3, 0)
    assert tree_of(server.root / "public_html") == tree_of(place.site)
