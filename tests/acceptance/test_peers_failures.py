"""What users of other clients report as failures, tried with siteferry's imports.

docs/peers.md lists all that were looked at by number, and where each has its test. The issues are
those of the projects named beside them; `ftp-deploy` is SamKirkland's, with its GitHub action.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from siteferry.run import RunState, Snapshot
from tests.acceptance.test_ending_runs import Hold, stored
from tests.acceptance.test_two_workers import wait_for_workers
from tests.clear_errors import assert_clear
from tests.inline import import_now
from tests.installation import BASE_NAME, Installation, left_over, tree_of, write_tree
from tests.private_redis import RedisServer
from tests.servers.base import PASSWORD, FtpServer
from tests.servers.proxy import FtpProxy
from tests.servers.wire import WireProxy
from tests.servers.wire_faults import SayInstead, Truncate

FILES = {f"page-{n}.html": f"page {n}" for n in range(12)} | {
    "index.html": "entry",
    "assets/style.css": "style",
    "assets/deep/logo.svg": "<svg/>",
}


class Site:
    """A website on a server; its imports run in the test's process."""

    def __init__(
        self, folder: Path, redis: RedisServer, server: FtpServer, **website: object
    ) -> None:
        self.installation = Installation(folder, redis=redis.url)
        self.source = self.installation.add_site(server, **website)  # type: ignore[arg-type]
        self.live = server.root / "public_html"
        self.remote = f"{server.remote_root.rstrip('/')}/public_html"
        self._redis = redis

    def run(self, **options: object) -> Snapshot:
        return import_now(self.installation, self._redis, **options)  # type: ignore[arg-type]

    def publish(self, files: dict[str, str]) -> None:
        write_tree(self.source, files)
        done = self.run()
        assert (done.state, done.failed) == (RunState.DONE, 0), (done.error, done.failures)


MakeSite = Callable[..., Site]


@pytest.fixture
def make_site(
    redis_server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> MakeSite:
    """`make_site(server, **website)`."""
    monkeypatch.setenv("PASSWORD_OF_EXAMPLE", PASSWORD)
    return lambda server, **website: Site(tmp_path, redis_server, server, **website)


def carried_out(commands: list[str]) -> Iterator[tuple[str, str]]:
    """Verb and absolute path of each command that has a path; of one session."""
    where = "/"
    for command in commands:
        verb, _, path = command.partition(" ")
        if path:
            path = posixpath.normpath(posixpath.join(where, path))
            where = path if verb == "CWD" else where
            yield verb, path


# -- what visitors see -----------------------------------------------------------------------------


def test_a_live_file_is_renamed_over_and_never_deleted_or_written_in_place(
    ftp_server: FtpServer, ftp_proxy: FtpProxy, make_site: MakeSite
) -> None:
    """15, 16: ftp-deploy #152, #407, git-ftp #469, lftp #148, ftp-deployment PR 5: a visitor gets
    half a file, or none, while it is replaced."""
    site = make_site(ftp_server.through(ftp_proxy.port), ftp={"max_connections": 1})
    site.publish(FILES)
    begin = len(ftp_proxy.commands)
    site.publish({path: f"{content}, changed" for path, content in FILES.items()})
    done = list(carried_out(ftp_proxy.commands[begin:]))
    ours = f"{site.remote}/{BASE_NAME}/"
    live = {(verb, path) for verb, path in done if not path.startswith(ours)}
    assert {path for verb, path in done if verb == "RNTO" and not path.startswith(ours)} == {
        f"{site.remote}/{path}" for path in FILES
    }
    assert not {verb for verb, _ in live} & {"STOR", "APPE", "DELE", "RMD", "RNFR"}, live
    assert tree_of(site.live) == tree_of(site.source)


def test_a_server_that_refuses_to_rename_over_a_file_gets_the_new_site_all_the_same(
    pyftpd: Callable[..., FtpServer], make_site: MakeSite
) -> None:
    """17: FileZilla Server (ftp-deployment #4), rclone #7271, lftp #353, ftp-deploy #303."""
    server = pyftpd(extra=["--no-overwrite"])
    try:
        site = make_site(server)
        site.publish(FILES)
        site.publish({path: f"{content}, changed" for path, content in FILES.items()})
        assert tree_of(site.live) == tree_of(site.source)
        assert left_over(site.live) == []
        assert site.run().transferred == 0
    finally:
        server.remove()


def test_whatever_lies_in_the_web_root_meanwhile_has_a_name_that_apache_does_not_serve(
    ftp_server: FtpServer, ftp_proxy: FtpProxy, make_site: MakeSite
) -> None:
    """22: ftp-deploy #135: everybody can read the state file. Apache's stock configuration denies
    files whose name begins with `.ht`; nginx has no such rule, and needs one or
    `ftp.staging_dir`."""
    site = make_site(
        ftp_server.through(ftp_proxy.port),
        ftp={"max_connections": 1},
        delete={"mode": "published", "max": "100%"},
    )
    site.publish(FILES)
    (site.source / "page-1.html").unlink()
    (site.source / "assets/deep/logo.svg").unlink()
    (site.source / "assets/deep").rmdir()
    site.publish({"assets/deep": "a file now"})
    ours = f"{site.remote}/{BASE_NAME}/"
    written = [
        path
        for verb, path in carried_out(ftp_proxy.commands)
        # The lock holds no file, only an empty directory.
        if verb in ("STOR", "RNTO") and path.startswith(ours) and "/.htlock/" not in path
    ]
    assert len(written) > len(FILES)
    assert [path for path in written if not posixpath.basename(path).startswith(".ht")] == []


@pytest.mark.parametrize("written", ["/{}", "{}/"])
def test_a_staging_directory_elsewhere_leaves_nothing_in_the_web_root(
    written: str, ftp_server: FtpServer, make_site: MakeSite
) -> None:
    """22: the same, where the web server serves every name. The first import makes both
    directories."""
    elsewhere = written.format(f"{ftp_server.remote_root}/private/siteferry".strip("/"))
    site = make_site(ftp_server, ftp={"staging_dir": elsewhere})
    site.publish(FILES)
    assert not (site.live / BASE_NAME).exists()
    assert (ftp_server.root / "private/siteferry/.htmanifest").exists()
    assert site.run().skipped == len(FILES)


# -- after a crash ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_what_a_killed_worker_had_sent_is_used_or_removed_by_the_next_import(
    ftp_server: FtpServer, ftp_proxy: FtpProxy, redis_server: RedisServer, tmp_path: Path
) -> None:
    """18, 20: temporary files stay for ever (rclone, killed), and a first deploy that breaks off
    begins at its first file again (ftp-deploy #341, #448, #472, git-ftp #83)."""
    installation = Installation(tmp_path, redis=redis_server.url)
    installation.configure(batch={"files": 10, "bytes": "1MiB"})
    source = installation.add_site(ftp_server.through(ftp_proxy.port), ftp={"max_connections": 1})
    files = {f"page-{n:02}.html": f"page {n}" for n in range(60)}
    write_tree(source, files)
    live = ftp_server.root / "public_html"
    hold = Hold(ftp_proxy, "STOR", number=25)
    with installation.process("worker") as worker:
        wait_for_workers(redis_server, 1)
        run = installation.run("import", "example", "--detach").stdout.strip()
        hold.wait()
        worker.kill()
        worker.wait()
        hold.release()
    assert tree_of(live) == {}
    assert left_over(live) != []
    assert installation.run("cancel", run).code == 0
    before = stored(ftp_proxy)
    with installation.process("worker"):
        done = installation.run("import", "example", "--json", "--quiet")
    assert done.code == 0, done.output
    assert done.json["stats"]["uploaded"] == len(files)
    assert stored(ftp_proxy) - before <= len(files) - 20 + 2, "two batches of ten had arrived"
    assert tree_of(live) == tree_of(source)
    assert left_over(live) == []
    assert [path.name for path in ftp_server.root.iterdir()] == ["public_html"]


# -- deletes ---------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["refused", "cut"])
def test_a_listing_that_fails_deletes_nothing(
    fault: str, ftp_server: FtpServer, make_site: MakeSite
) -> None:
    """23: FluentFTP #1580: an empty listing that was none, and all of the other side is deleted."""
    with WireProxy(ftp_server) as proxy:
        site = make_site(proxy.server, ftp={"max_connections": 1})
        site.publish(FILES)
        before = tree_of(site.live)
        if fault == "cut":
            proxy.inject(Truncate(10, "down", connection=2))  # the first one brings the manifest
        else:
            verb = "LIST" if ftp_server.kind == "vsftpd" else "MLSD"
            for number in range(1, 60):
                proxy.inject(SayInstead(verb, "451 Local error in processing.", number=number))
        run = site.run(delete="all", max_delete="100%")
        assert run.deleted == 0
        assert tree_of(site.live) == before
        if fault == "refused":
            assert run.state is not RunState.DONE
            proxy.heal()
        later = site.run(delete="all", max_delete="100%")
        assert (later.state, later.deleted, later.transferred) == (RunState.DONE, 0, 0)


DOTFILES = {
    ".htaccess": "Options -Indexes",
    ".htpasswd": "user:$apr1$",
    ".user.ini": "memory_limit = 64M",
    ".well-known/security.txt": "Contact: x",
    "blog/.htaccess": "Deny from all",
    "index.html": "entry",
}


@pytest.mark.parametrize("mode", ["published", "all"])
def test_dotfiles_are_sent_seen_and_deleted_like_other_files(
    mode: str, ftp_server: FtpServer, make_site: MakeSite
) -> None:
    """35: lftp #193, #251, #625, vscode-sftp #561: `.htaccess` is not sent, or not listed and then
    sent again and again, or cannot be deleted."""
    site = make_site(ftp_server)
    site.publish(DOTFILES)
    assert tree_of(site.live) == tree_of(site.source)
    listed = site.run(compare="listing")
    assert (listed.transferred, listed.skipped) == (0, len(DOTFILES))
    for path in DOTFILES:
        if path != "index.html":
            (site.source / path).unlink()
    (site.source / ".well-known").rmdir()
    (site.source / "blog").rmdir()
    done = site.run(delete=mode, max_delete="100%")
    assert (done.state, done.deleted) == (RunState.DONE, len(DOTFILES) - 1), done
    assert tree_of(site.live) == tree_of(site.source)
    assert (site.live / BASE_NAME / ".htmanifest").exists()


NEIGHBOURS = {"a.html": "a", "b.html": "b", "set.html": "s", "index.html": "entry"}
PATTERNS = {"*.html": "star", "[ab].html": "brackets", "?.html": "question", "#.html": "hash"}


@pytest.mark.parametrize("mode", ["published", "all"])
def test_a_name_that_looks_like_a_pattern_is_deleted_alone(
    mode: str, ftp_server: FtpServer, make_site: MakeSite
) -> None:
    """37: git-ftp #23, #212, #259: `#`, `[` and `*` in names are taken for something else."""
    site = make_site(ftp_server)
    site.publish(NEIGHBOURS | PATTERNS)
    for path in PATTERNS:
        (site.source / path).unlink()
    done = site.run(delete=mode, max_delete="100%")
    assert (done.state, done.deleted) == (RunState.DONE, len(PATTERNS)), done
    assert {path.name for path in site.live.glob("*.html")} == set(NEIGHBOURS)


# -- what the server says --------------------------------------------------------------------------


@pytest.mark.slow
def test_a_quota_ends_the_run_at_once_with_the_servers_words(
    pureftpd: Callable[..., FtpServer], redis_server: RedisServer, tmp_path: Path
) -> None:
    """30, 43, 28: sftpgo #2276, curl #6016: 552 is tried again for ever; ftp-deployment #19: the
    user never sees it; git-ftp #9: and the exit code is 0. Pure-FTPd with a quota of one MiB."""
    server = pureftpd(extra=["--quota", "1000:1"])
    try:
        with FtpProxy.in_front_of(server) as proxy:
            installation = Installation(tmp_path, redis=redis_server.url)
            source = installation.add_site(server.through(proxy.port), ftp={"max_connections": 1})
            write_tree(source, {"index.html": "home", "film.bin": b"\x07" * 3_000_000})
            with installation.process("worker"):
                outcome = installation.run("import", "example")
            assert_clear(
                installation,
                outcome,
                1,
                "the server said: 552 ",
                "Quota exceeded",
                "Make room on the host, then run the same import again.",
                "nothing was published",
                secrets=[PASSWORD],
            )
            assert stored(proxy) <= 2, "it was tried again"
            assert tree_of(server.root / "public_html") == {}
    finally:
        server.remove()


def test_a_directory_that_may_not_be_written_is_told_with_the_servers_words(
    ftp_server: FtpServer, make_site: MakeSite
) -> None:
    """43: basic-ftp #218, ftp-deploy #446: 550 for want of a permission is told as something
    else."""
    site = make_site(ftp_server)
    site.publish(FILES)
    closed = site.live / "assets"
    closed.chmod(0o555)
    write_tree(site.source, {"assets/new.css": "new", "page-1.html": "page 1, changed"})
    run = site.run()
    assert run.state is RunState.INCOMPLETE, (run.error, run.failures)
    (failure,) = run.failures
    assert failure.path == "assets/new.css"
    assert failure.reply is not None
    assert failure.reply[:3] in ("550", "553", "451"), failure.reply
    closed.chmod(0o755)
    again = site.run()
    assert (again.state, again.failed) == (RunState.DONE, 0)
    assert tree_of(site.live) == tree_of(site.source)


# -- several sites ---------------------------------------------------------------------------------


def test_one_command_publishes_several_sites_and_one_that_fails_keeps_no_other_from_it(
    pyftpd_server: FtpServer, tmp_path: Path
) -> None:
    """40, 28: ftp-deploy #204, git-ftp #213, vscode-sftp #807: one target a command."""
    installation = Installation(tmp_path)
    for name in ("example", "shop", "broken"):
        source = installation.add_site(pyftpd_server, name, remote=name)
        write_tree(source, {"index.html": name, "css/site.css": "a { }"})
    (installation.folder / "workspaces/broken/output/out.html").symlink_to("/etc/hostname")
    outcome = installation.run("import", "--all", "--json", "--quiet")
    assert outcome.code == 1, outcome.output
    states = {run["site"]: run["state"] for run in outcome.json}
    assert states == {"example": "done", "shop": "done", "broken": "incomplete"}
    for name in ("example", "shop"):
        source = installation.folder / "workspaces" / name / "output"
        assert tree_of(pyftpd_server.root / name) == tree_of(source)
    assert tree_of(pyftpd_server.root / "broken") == {}
