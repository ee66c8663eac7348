"""Directories on every server: made in bursts, looked at, listed, emptied."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from siteferry.errors import SessionLost, SiteferryError
from siteferry.ftp.directories import (
    are_directories,
    are_files,
    file_sizes,
    list_names,
    make_directories,
    present,
    remove_tree,
)
from siteferry.ftp.renames import Rename, rename_all
from tests.servers.base import FtpServer, running_as_root
from tests.servers.proxy import FtpProxy
from tests.servers.scripted import EPSV, LOGIN, Deliver, ScriptedServer, login, turn
from tests.servers.sessions import give_to_the_server, plant, scripted_session, session_on


def root_of(server: FtpServer) -> str:
    return server.remote_root.rstrip("/")


def below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_directories_are_made_and_what_exists_is_success(ftp_server: FtpServer) -> None:
    plant(ftp_server, "there/")
    root = root_of(ftp_server)
    paths = [f"{root}/{p}" for p in ("there", "there/new", "a b", "a b/.c", 'a b/.c/d"ü')]
    with session_on(ftp_server) as session:
        made, failed = make_directories(session, paths)
        assert (made, failed) == (paths[1:], {})
        assert make_directories(session, paths) == ([], {})
    assert below(ftp_server.root) == {p.removeprefix(f"{root}/") for p in paths}


def test_directories_are_made_over_tls(ftps_server: FtpServer) -> None:
    root = root_of(ftps_server)
    paths = [f"{root}/{n}" for n in range(300)]
    with session_on(ftps_server) as session:
        assert make_directories(session, paths) == (paths, {})
    assert below(ftps_server.root) == {str(n) for n in range(300)}


def test_a_file_in_the_way_of_a_directory_is_an_error_of_that_path(ftp_server: FtpServer) -> None:
    plant(ftp_server, "file")
    root = root_of(ftp_server)
    with session_on(ftp_server) as session:
        made, failed = make_directories(session, [f"{root}/file", f"{root}/new", f"{root}/x/y"])
    assert made == [f"{root}/new"]
    assert set(failed) == {f"{root}/file", f"{root}/x/y"}
    for path, error in failed.items():
        assert path in error.message
        assert (error.reply or "").startswith("550")
    assert (ftp_server.root / "file").read_text() == "file"


def test_258_directories_are_made_in_few_round_trips(
    ftp_server: FtpServer, ftp_proxy: FtpProxy
) -> None:
    """Counted by the proxy: writes of ours that came after a reply; 4,000 bytes go in each."""
    root = root_of(ftp_server)
    tops = [f"{root}/wp-{n}" for n in range(3)]
    paths = [*tops, *(f"{top}/plugin-{n:03}" for top in tops for n in range(85))]
    assert len(paths) == 258
    with session_on(ftp_server.through(ftp_proxy.port)) as session:
        before = ftp_proxy.round_trips
        made, failed = make_directories(session, paths)
        assert ftp_proxy.round_trips - before <= 6
    assert (made, failed) == (paths, {})
    assert len(below(ftp_server.root)) == 258


def look_around(server: FtpServer) -> None:
    plant(server, "file", "folder/", ".ht", "full/inside", "empty file")
    (server.root / "empty file").write_text("")
    root = root_of(server)
    names = ["file", "folder", ".ht", "full/inside", "full", "empty file", "no", "no/no", "file/no"]
    paths = [f"{root}/{name}" for name in names]
    with session_on(server) as session:
        assert present(session, []) == set()
        assert present(session, paths) == set(paths[:6])
        assert present(session, paths[6:]) == set()
        assert are_files(session, paths) == {paths[0], paths[2], paths[3], paths[5]}
        assert are_directories(session, [paths[1], paths[4], paths[0]]) == {paths[1], paths[4]}
        sizes = file_sizes(session, paths)
        assert [sizes[path] for path in paths] == [4, None, 3, 11, None, 0, None, None, None]
    assert below(server.root) == {"file", "folder", ".ht", "full", "full/inside", "empty file"}


def test_looking_tells_files_directories_and_nothing_apart(ftp_server: FtpServer) -> None:
    look_around(ftp_server)


def test_looking_over_tls_tells_files_directories_and_nothing_apart(ftps_server: FtpServer) -> None:
    look_around(ftps_server)


def test_many_missing_paths_are_looked_at_without_a_penalty(ftp_server: FtpServer) -> None:
    """Pure-FTPd answers failing CWDs later and later, and hangs up after some."""
    root = root_of(ftp_server)
    with session_on(ftp_server) as session:
        assert present(session, [f"{root}/{n}" for n in range(300)]) == set()
        assert session.command("NOOP", "saying nothing").ok


def test_after_a_look_a_rename_of_what_is_not_there_moves_nothing_else(
    ftp_server: FtpServer,
) -> None:
    """An RNFR that is only a look stays pending in ProFTPD, Pure-FTPd and pyftpdlib: the next
    RNTO, whose own RNFR failed, would take the file that was looked at."""
    plant(ftp_server, "looked-at")
    root = root_of(ftp_server)
    with session_on(ftp_server) as session:
        assert present(session, [f"{root}/looked-at"]) == {f"{root}/looked-at"}
        assert rename_all(session, [Rename(f"{root}/never", f"{root}/moved", 1)])
        assert session.command("TYPE I", "going on").ok
    assert below(ftp_server.root) == {"looked-at"}


def test_a_look_that_settles_nothing_is_an_error() -> None:
    script = [*login("MLST type*;"), turn(("MLST /a", "450 try later"))]
    with (
        ScriptedServer(script) as server,
        scripted_session(server) as session,
        pytest.raises(SiteferryError) as unsettled,
    ):
        present(session, ["/a"])
    assert unsettled.value.transient


def test_a_size_that_is_none_settles_nothing() -> None:
    with (
        ScriptedServer([*LOGIN, turn(("SIZE /a", "500 what?"))]) as server,
        scripted_session(server) as session,
        pytest.raises(SiteferryError, match="looking at /a was refused"),
    ):
        file_sizes(session, ["/a"])


def list_around(server: FtpServer) -> None:
    plant(server, "file", "folder/inside", ".hidden", ".dot folder/", "two  words", "ümläut")
    root = root_of(server)
    with session_on(server) as session:
        folders, others = list_names(session, root or "/")
        assert sorted(folders) == [".dot folder", "folder"]
        assert sorted(others) == [".hidden", "file", "two  words", "ümläut"]
        assert list_names(session, f"{root}/folder") == ([], ["inside"])
        assert list_names(session, f"{root}/.dot folder") == ([], [])
        assert session.command("NOOP", "saying nothing").ok


def test_a_listing_tells_directories_from_others_with_dotfiles(ftp_server: FtpServer) -> None:
    list_around(ftp_server)


def test_a_listing_over_tls_tells_directories_from_others(ftps_server: FtpServer) -> None:
    list_around(ftps_server)


def test_dotfiles_are_asked_for_where_a_server_hides_them(vsftpd: Callable[..., FtpServer]) -> None:
    server = vsftpd(extra=["force_dot_files=NO"])
    plant(server, ".htaccess", "index.html")
    with session_on(server) as session:
        assert sorted(list_names(session, root_of(server) or "/")[1]) == [".htaccess", "index.html"]
    server.remove()


def test_a_link_is_listed_as_no_directory(ftp_server: FtpServer) -> None:
    """What is taken for a directory is descended into and emptied."""
    plant(ftp_server, "folder/kept")
    (ftp_server.root / "link").symlink_to("folder")
    (ftp_server.root / "dangling").symlink_to("nowhere")
    with session_on(ftp_server) as session:
        folders, others = list_names(session, root_of(ftp_server) or "/")
    assert (folders, sorted(others)) == (["folder"], ["dangling", "link"])


def test_a_directory_that_is_not_there_cannot_be_listed(ftp_server: FtpServer) -> None:
    """vsftpd and Pure-FTPd answer LIST with an empty listing then."""
    with session_on(ftp_server) as session, pytest.raises(SiteferryError):
        list_names(session, f"{root_of(ftp_server)}/nowhere")


def test_a_listing_that_breaks_off_is_none() -> None:
    """Whatever half a listing does not show would be taken for missing."""
    half = b"drwxr-xr-x 2 1 1 4096 Jan 01 2024 folder\r\n-rw-r--r-- 1 1 1 4 Jan 01 2024 fi"
    script = [
        *LOGIN,
        turn(("PWD", '257 "/"')),
        *[turn(("CWD /", "250"))] * 2,
        turn(("TYPE A", "200")),
        turn(EPSV),
        turn(("LIST -a", "150 here", Deliver(half), "426 aborted")),
        turn(("CWD /", "250")),
        turn(("TYPE I", "200")),
    ]
    with (
        ScriptedServer(script) as server,
        scripted_session(server) as session,
        pytest.raises(SessionLost, match="listing / failed"),
    ):
        list_names(session, "/")


def fill(server: FtpServer) -> None:
    plant(
        server,
        "live/index.html",
        "run/.ht1",
        "run/.ht2",
        "run/left over",
        "run/trash/0",
        "run/trash/deep/er/.file",
        "run/trash/empty/",
    )
    (server.root / "run" / "link").symlink_to("../live")
    (server.root / "run" / "trash" / "dangling").symlink_to("nowhere")
    give_to_the_server(server.root)


def empty(server: FtpServer) -> None:
    fill(server)
    with session_on(server) as session:
        remove_tree(session, f"{root_of(server)}/run", [f"{root_of(server)}/run/.ht1"])
        assert session.command("NOOP", "saying nothing").ok
        # Again, when there is nothing any more.
        remove_tree(session, f"{root_of(server)}/run", [f"{root_of(server)}/run/.ht1"])
    assert below(server.root) == {"live", "live/index.html"}


def test_a_tree_is_removed_with_what_nobody_knew_of_and_links_are_not_followed(
    ftp_server: FtpServer,
) -> None:
    empty(ftp_server)


def test_a_tree_is_removed_over_tls(ftps_server: FtpServer) -> None:
    empty(ftps_server)


def test_a_tree_of_known_files_is_removed_without_a_listing(
    ftp_server: FtpServer, ftp_proxy: FtpProxy
) -> None:
    plant(ftp_server, *(f"run/{n}" for n in range(100)))
    root = root_of(ftp_server)
    with session_on(ftp_server.through(ftp_proxy.port)) as session:
        before = ftp_proxy.round_trips
        remove_tree(session, f"{root}/run", [f"{root}/run/{n}" for n in range(100)])
        assert ftp_proxy.round_trips - before <= 3
        assert session.data_connections == 0
    assert below(ftp_server.root) == set()


def test_a_tree_is_removed_that_has_more_than_the_server_lists(
    pureftpd: Callable[..., FtpServer],
) -> None:
    """As a small limit on what a listing shows; Pure-FTPd's own is 10,000."""
    server = pureftpd(extra=["--limitrecursion", "40:2"])
    plant(server, *(f"run/{n}" for n in range(100)), "run/folder/inner")
    with session_on(server) as session:
        assert len(list_names(session, f"{server.remote_root}/run".replace("//", "/"))[1]) < 100
        remove_tree(session, f"{server.remote_root}/run".replace("//", "/"))
    assert below(server.root) == set()
    server.remove()


def test_a_tree_that_cannot_be_removed_is_an_error(
    ftp_server: FtpServer,
) -> None:
    plant(ftp_server, "run/closed/file")
    (ftp_server.root / "run" / "closed").chmod(0o555)
    if running_as_root():
        os.chown(ftp_server.root / "run" / "closed", 0, 0)
    with session_on(ftp_server) as session, pytest.raises(SiteferryError):
        remove_tree(session, f"{root_of(ftp_server)}/run")
    assert (ftp_server.root / "run" / "closed" / "file").exists()


def test_a_server_that_hangs_up_in_a_burst_of_directories_loses_the_session() -> None:
    script = [*LOGIN, turn(("MKD /a", "257 made"), ("MKD /b", "421 bye"), ("MKD /c",))]
    with ScriptedServer(script) as server, scripted_session(server) as session:
        with pytest.raises(SessionLost):
            make_directories(session, ["/a", "/b", "/c"])
        assert session.lost
