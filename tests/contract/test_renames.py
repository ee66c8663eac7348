"""Renames in bursts: over existing files, tried again, and where a server does not replace."""

from __future__ import annotations

from pathlib import Path

import pytest

from siteferry.errors import NotFound, PermanentReply, SessionLost, SiteferryError
from siteferry.ftp.directories import present
from siteferry.ftp.profile import ServerProfile
from siteferry.ftp.renames import Rename, rename_all
from tests.servers.base import FtpServer
from tests.servers.proxy import FtpProxy
from tests.servers.scripted import LOGIN, ScriptedServer, Turn, turn
from tests.servers.sessions import give_to_the_server, plant, scripted_session, session_on


def write(folder: Path, **contents: str) -> None:
    for name, content in contents.items():
        (folder / name).write_text(content)


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}


class Area:
    """Names in the test's own remote directory."""

    def __init__(self, server: FtpServer) -> None:
        self.root = server.remote_root.rstrip("/")

    def rename(self, source: str, target: str, size: int | None = None) -> Rename:
        return Rename(f"{self.root}/{source}", f"{self.root}/{target}", size)


def test_a_rename_replaces_what_stands_there(ftp_server: FtpServer) -> None:
    write(ftp_server.root, staged="new!", live="old", other="first")
    area = Area(ftp_server)
    renames = [area.rename("staged", "live", 4), area.rename("other", "second", 5)]
    with session_on(ftp_server) as session:
        assert rename_all(session, renames) == {}
        assert session.profile.rename_over
    assert contents(ftp_server.root) == {"live": "new!", "second": "first"}


def test_a_rename_over_tls_replaces_what_stands_there(ftps_server: FtpServer) -> None:
    write(ftps_server.root, staged="new!", live="old")
    with session_on(ftps_server) as session:
        assert rename_all(session, [Area(ftps_server).rename("staged", "live", 4)]) == {}
    assert contents(ftps_server.root) == {"live": "new!"}


def test_nothing_to_rename_is_nothing_sent(ftp_server: FtpServer, ftp_proxy: FtpProxy) -> None:
    with session_on(ftp_server.through(ftp_proxy.port)) as session:
        before = len(ftp_proxy.commands)
        assert rename_all(session, []) == {}
        assert len(ftp_proxy.commands) == before


def test_a_second_try_finds_the_work_done(ftp_server: FtpServer) -> None:
    write(ftp_server.root, staged="new!", live="old", gone="x")
    plant(ftp_server, "trash/")
    area = Area(ftp_server)
    renames = [area.rename("staged", "live", 4), area.rename("gone", "trash/gone")]
    with session_on(ftp_server) as session:
        assert rename_all(session, renames) == {}
        assert rename_all(session, renames) == {}
        assert session.profile.rename_over
    assert contents(ftp_server.root) == {"live": "new!"}
    assert contents(ftp_server.root / "trash") == {"gone": "x"}


def test_a_rename_whose_reply_was_lost_is_done_when_it_is_tried_again(
    ftp_server: FtpServer, ftp_proxy: FtpProxy
) -> None:
    write(ftp_server.root, **{f"s{n}": f"{n}" * 5 for n in range(4)}, t2="old")
    area = Area(ftp_server)
    renames = [area.rename(f"s{n}", f"t{n}", 5) for n in range(4)]
    server = ftp_server.through(ftp_proxy.port)
    with session_on(server) as session:
        ftp_proxy.cut_matching(lambda command: command.endswith("/t2"), "after")
        with pytest.raises(SessionLost):
            rename_all(session, renames)
    assert contents(ftp_server.root)["t2"] == "22222"
    ftp_proxy.revive()
    with session_on(server) as session:
        assert rename_all(session, renames) == {}
    assert contents(ftp_server.root) == {f"t{n}": f"{n}" * 5 for n in range(4)}


def test_a_source_that_is_gone_with_the_wrong_size_at_the_target_is_a_failure(
    ftp_server: FtpServer,
) -> None:
    write(ftp_server.root, live="old", staged="new!", other="12345")
    area = Area(ftp_server)
    renames = [
        area.rename("never", "live", 9),
        area.rename("never", "nowhere", 9),
        area.rename("staged", "target", 4),
        area.rename("other", "missing/directory", 5),
    ]
    with session_on(ftp_server) as session:
        failed = rename_all(session, renames)
        assert not session.lost
        assert session.profile.rename_over
    assert set(failed) == {renames[0], renames[1], renames[3]}
    for error in failed.values():
        assert isinstance(error, SiteferryError)
        assert error.reply
    assert contents(ftp_server.root) == {"live": "old", "target": "new!", "other": "12345"}


def test_a_directory_at_the_target_is_never_replaced_by_a_file(ftp_server: FtpServer) -> None:
    write(ftp_server.root, staged="new!")
    (ftp_server.root / "live").mkdir()
    (ftp_server.root / "live" / "kept").write_text("kept")
    rename = Area(ftp_server).rename("staged", "live", 4)
    with session_on(ftp_server) as session:
        assert set(rename_all(session, [rename])) == {rename}
        assert session.profile.rename_over
    assert contents(ftp_server.root) == {"staged": "new!"}
    assert contents(ftp_server.root / "live") == {"kept": "kept"}


def test_files_and_directories_are_put_aside_and_what_is_gone_already_counts_as_done(
    ftp_server: FtpServer,
) -> None:
    write(ftp_server.root, file="x")
    plant(ftp_server, "folder/inside", "trash/")
    area = Area(ftp_server)
    renames = [
        area.rename(name, f"trash/{number}")
        for number, name in enumerate(["file", "never-there", "folder"])
    ]
    with session_on(ftp_server) as session:
        assert rename_all(session, renames) == {}
        assert present(session, [rename.target for rename in renames]) == {
            renames[0].target,
            renames[2].target,
        }
    assert contents(ftp_server.root / "trash") == {"0": "x"}
    assert contents(ftp_server.root / "trash" / "2") == {"inside": "folder/inside"}


def test_what_is_put_aside_from_a_directory_that_is_gone_is_taken_from_nowhere_else(
    ftp_server: FtpServer,
) -> None:
    """Names such as .htaccess are in many places of a site."""
    root = ftp_server.remote_root.rstrip("/")
    write(ftp_server.root, **{".htaccess": "of the root", ".htpasswd": "of the root"})
    (ftp_server.root / "trash").mkdir()
    give_to_the_server(ftp_server.root)
    with session_on(ftp_server) as session:
        session.command(f"CWD {root}/", "entering")
        asides = [
            Rename(f"{root}/blog/{name}", f"{root}/trash/.httrash.{number}")
            for number, name in enumerate([".htaccess", ".htpasswd"])
        ]
        rename_all(session, asides)
    assert (ftp_server.root / ".htaccess").read_text() == "of the root"
    assert (ftp_server.root / ".htpasswd").read_text() == "of the root"
    assert list((ftp_server.root / "trash").iterdir()) == []


def test_what_stands_and_cannot_be_put_aside_is_a_failure(ftp_server: FtpServer) -> None:
    write(ftp_server.root, file="x")
    rename = Area(ftp_server).rename("file", "no-trash/0")
    with session_on(ftp_server) as session:
        assert set(rename_all(session, [rename])) == {rename}
    assert contents(ftp_server.root) == {"file": "x"}


def test_2521_renames_into_other_directories_are_all_done_in_few_round_trips(
    ftp_server: FtpServer, ftp_proxy: FtpProxy
) -> None:
    """Counted by the proxy: writes of ours that came after a reply. They are bounded by the 4,000
    bytes of commands that may be unanswered, so by the length of the names."""
    count, folders = 2521, 25
    plant(ftp_server, *(f"s/{n}" for n in range(count)), *(f"{n}/" for n in range(folders)))
    area = Area(ftp_server)
    renames = [area.rename(f"s/{n}", f"{n % folders}/{n}", len(f"s/{n}")) for n in range(count)]
    with session_on(ftp_server.through(ftp_proxy.port)) as session:
        before = ftp_proxy.round_trips
        assert rename_all(session, renames) == {}
        turns = ftp_proxy.round_trips - before
    assert contents(ftp_server.root / "s") == {}
    for number in range(folders):
        assert contents(ftp_server.root / f"{number}") == {
            str(n): f"s/{n}" for n in range(number, count, folders)
        }
    sent = sum(len(f"RNFR {r.source}\r\nRNTO {r.target}\r\n".encode()) for r in renames)
    assert turns <= sent / 3900 + 1


# -- what cannot be installed --------------------------------------------------------------------


def run_script(
    script: list[Turn], renames: list[Rename], profile: ServerProfile | None = None
) -> dict[Rename, SiteferryError]:
    with (
        ScriptedServer([*LOGIN, *script]) as server,
        scripted_session(server, profile) as session,
    ):
        failed = rename_all(session, renames)
        assert not session.lost
        return failed


A = Rename("/s/a", "/a", 1)
B = Rename("/s/b", "/b", 2)
ASIDE = Rename("/old", "/trash/0")
REFUSED = "550 Cannot create a file when that file already exists."
OVER = [
    ("RNFR /s/a", "350 ready"),
    ("RNTO /a", REFUSED),
    ("RNFR /s/b", "350 ready"),
    ("RNTO /b", REFUSED),
]


def test_a_server_that_does_not_rename_over_gets_the_target_deleted_first_and_is_remembered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    script = [
        turn(*OVER),
        turn(("SIZE /a", "213 7"), ("SIZE /b", "213 8")),
        turn(("SIZE /s/a", "213 1")),
        turn(("DELE /a", "250 gone"), ("RNFR /s/a", "350 ready"), ("RNTO /a", "250 done")),
        turn(("SIZE /s/b", "213 2")),
        turn(
            ("DELE /b", "250 gone"),
            ("RNFR /s/b", "350 ready"),
            ("RNTO /b", "250 done"),
        ),
    ]
    profile = ServerProfile()
    assert run_script(script, [A, B], profile) == {}
    assert not profile.rename_over
    assert "is deleted first" in caplog.text


def test_where_renaming_over_is_known_not_to_work_it_is_not_tried() -> None:
    script = [
        turn(("RNFR /old", "350 ready"), ("RNTO /trash/0", "250 done")),
        turn(("SIZE /s/a", "213 1")),
        turn(("DELE /a", "550 not there"), ("RNFR /s/a", "350 ready"), ("RNTO /a", "250 done")),
    ]
    assert run_script(script, [A, ASIDE], ServerProfile(rename_over=False)) == {}


def test_a_target_is_not_deleted_when_its_replacement_is_gone() -> None:
    """a was renamed by an earlier try; b's source is gone and its target is another file."""
    script = [
        turn(("SIZE /s/a", "550 no such file"), ("SIZE /s/b", "550 no such file")),
        turn(("SIZE /a", "213 1"), ("SIZE /b", "213 8")),
    ]
    failed = run_script(script, [A, B], ServerProfile(rename_over=False))
    assert set(failed) == {B}
    assert isinstance(failed[B], NotFound)


def test_a_refused_rename_with_nothing_at_the_target_deletes_nothing() -> None:
    script = [turn(*OVER[:2]), turn(("SIZE /a", "550 no such file"))]
    profile = ServerProfile()
    failed = run_script(script, [A], profile)
    assert isinstance(failed[A], PermanentReply)
    assert failed[A].reply == REFUSED
    assert profile.rename_over


def test_a_transient_refusal_deletes_nothing() -> None:
    script = [
        turn(("RNFR /s/a", "350 ready"), ("RNTO /a", "451 try again")),
        turn(("SIZE /a", "213 7")),
    ]
    assert run_script(script, [A])[A].transient


def test_what_is_put_aside_never_deletes_what_stands_in_the_trash() -> None:
    script = [
        turn(("RNFR /old", "350 ready"), ("RNTO /trash/0", REFUSED)),
        turn(("SIZE /trash/0", "213 7")),
    ]
    assert set(run_script(script, [ASIDE])) == {ASIDE}


def test_where_deleting_does_not_help_either_only_one_file_is_risked() -> None:
    """A host may refuse every rename into the live directory (another file system, say): there,
    deleting first would empty the site."""
    script = [
        turn(*OVER),
        turn(("SIZE /a", "213 7"), ("SIZE /b", "213 8")),
        turn(("SIZE /s/a", "213 1")),
        turn(("DELE /a", "250 gone"), ("RNFR /s/a", "350 ready"), ("RNTO /a", "550 no")),
    ]
    profile = ServerProfile()
    failed = run_script(script, [A, B], profile)
    assert set(failed) == {A, B}
    assert profile.rename_over


def test_an_old_file_of_the_same_size_is_not_taken_for_the_new_one() -> None:
    """The staged file still stands, so the rename was not done: hosts may forbid RNFR (Pure-FTPd
    has an option for it), and many changed files keep their size."""
    script = [
        turn(
            ("RNFR /s/a", "550 Sorry, renaming is disabled"),
            ("RNTO /a", "503 Need RNFR before RNTO"),
        ),
        turn(("SIZE /s/a", "213 1"), ("SIZE /a", "213 1")),
    ]
    failed = run_script(script, [A])
    assert set(failed) == {A}
    assert failed[A].reply == "550 Sorry, renaming is disabled"


def test_an_answer_that_settles_nothing_is_no_success() -> None:
    script = [
        turn(("RNFR /s/a", "550 no such file"), ("RNTO /a", "503 bad sequence")),
        turn(("SIZE /s/a", "451 disk error"), ("SIZE /a", "451 disk error")),
    ]
    with (
        ScriptedServer([*LOGIN, *script]) as server,
        scripted_session(server) as session,
        pytest.raises(SiteferryError) as unsettled,
    ):
        rename_all(session, [A])
    assert unsettled.value.transient
