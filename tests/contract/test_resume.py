"""Long files: gone on with where an earlier attempt was cut off, given up to others, paced."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from siteferry.errors import LeaseLost, NotPermitted, SessionLost, SourceChanged
from siteferry.ftp.endpoint import Deadlines
from siteferry.ftp.pacing import Pace
from siteferry.ftp.resume import resume_upload
from siteferry.ftp.sending import Conduct, Outcome, Part, Stored, Upload
from siteferry.ftp.session import Session
from siteferry.ftp.transfer import finish_upload, open_transfer
from siteferry.ftp.upload import upload_files
from tests.conftest import Servers
from tests.servers.base import FtpServer
from tests.servers.scripted import EPSV, LOGIN, PASV, RECEIVE, ScriptedServer, Turn, login, turn
from tests.servers.sessions import (
    MTIME,
    give_to_the_server,
    make_file,
    scripted_session,
    session_on,
    stored,
)

CONTENT = random.Random(7).randbytes(5_000_000)


class Told:
    """What a transfer told while it ran: bytes moved, and what was kept of files."""

    def __init__(self) -> None:
        self.bytes = 0
        self.parts: list[Part] = []

    def conduct(self, **changes: object) -> Conduct:
        return Conduct(moved=self._moved, keep=self._keep, **changes)  # type: ignore[arg-type]

    def _moved(self, count: int) -> None:
        self.bytes += count

    def _keep(self, _upload: Upload, part: Part) -> None:
        self.parts.append(part)


def at(server: FtpServer, name: str) -> str:
    return f"{server.remote_root.rstrip('/')}/{name}"


def source(folder: Path, content: bytes = CONTENT) -> Callable[[str], Upload]:
    found = make_file(folder, "long.bin", content)
    os.utime(found.local, (MTIME, MTIME))
    return lambda remote: Upload(found, remote)


def part_of(remote: str, offset: int, content: bytes = CONTENT, *, ended: bool = False) -> Part:
    return Part(remote, len(content), offset, hashlib.sha256(content[:offset]).hexdigest(), ended)


def plant_part(server: FtpServer, held: int, content: bytes = CONTENT) -> None:
    (server.root / "old").write_bytes(content[:held])
    give_to_the_server(server.root)


def resume(server: FtpServer, folder: Path, part: Part, content: bytes = CONTENT) -> int:
    """Resume, see that the whole file stands under its new name only; gives the bytes sent."""
    told = Told()
    with session_on(server) as session:
        upload = source(folder, content)(at(server, "new"))
        outcome = resume_upload(session, upload, part, told.conduct())
        assert outcome == stored(content)
        assert session.command("NOOP", "saying nothing").ok
    assert (server.root / "new").read_bytes() == content
    assert int((server.root / "new").stat().st_mtime) == MTIME
    assert {path.name for path in server.root.iterdir()} == {"new"}
    return told.bytes


def test_a_file_that_was_cut_off_is_gone_on_with(ftp_server: FtpServer, tmp_path: Path) -> None:
    plant_part(ftp_server, 3_000_000)
    sent = resume(ftp_server, tmp_path, part_of(at(ftp_server, "old"), 3_000_000))
    assert sent == len(CONTENT) - 3_000_000


def test_a_file_that_was_cut_off_is_gone_on_with_over_tls(
    ftps_server: FtpServer, tmp_path: Path
) -> None:
    plant_part(ftps_server, 3_000_000)
    sent = resume(ftps_server, tmp_path, part_of(at(ftps_server, "old"), 3_000_000))
    assert sent == len(CONTENT) - 3_000_000


def test_of_what_the_server_has_lost_again_nothing_is_taken_for_granted(
    ftp_server: FtpServer, tmp_path: Path
) -> None:
    """It had taken 3 MB, and kept one."""
    plant_part(ftp_server, 1_000_000)
    sent = resume(ftp_server, tmp_path, part_of(at(ftp_server, "old"), 3_000_000))
    assert sent == len(CONTENT) - 1_000_000


def test_what_was_sent_after_the_last_word_of_it_is_sent_again(
    ftp_server: FtpServer, tmp_path: Path
) -> None:
    """Nobody has hashed what is behind the last note, so it may be of another version."""
    plant_part(ftp_server, 4_000_000, CONTENT[:3_000_000] + bytes(2_000_000))
    sent = resume(ftp_server, tmp_path, part_of(at(ftp_server, "old"), 3_000_000))
    assert sent == len(CONTENT) - 3_000_000


def test_a_file_that_is_whole_already_is_only_looked_at(
    ftp_server: FtpServer, tmp_path: Path
) -> None:
    plant_part(ftp_server, len(CONTENT))
    assert resume(ftp_server, tmp_path, part_of(at(ftp_server, "old"), len(CONTENT))) == 0


def test_a_part_that_is_gone_is_no_part(ftp_server: FtpServer, tmp_path: Path) -> None:
    sent = resume(ftp_server, tmp_path, part_of(at(ftp_server, "old"), 3_000_000))
    assert sent == len(CONTENT)


@pytest.mark.parametrize("change", ["before the part's end", "in length"])
def test_a_source_that_has_changed_since_is_sent_from_its_beginning(
    ftp_server: FtpServer, tmp_path: Path, change: str
) -> None:
    plant_part(ftp_server, 3_000_000)
    changed = b"!" + CONTENT[1:] if change == "before the part's end" else CONTENT + b"!"
    sent = resume(ftp_server, tmp_path, part_of(at(ftp_server, "old"), 3_000_000), changed)
    assert sent == len(changed)


@pytest.mark.parametrize("kind", ["proftpd", "pureftpd", "pyftpd"])
def test_an_earlier_attempt_that_still_writes_cannot_spoil_the_file(
    servers: Servers, tmp_path: Path, kind: str
) -> None:
    """A worker that was taken for dead: its data connection is open, and goes on later."""
    server = servers.shared(kind, tls=False).fresh()
    with session_on(server) as ghost, session_on(server) as session:
        data = open_transfer(ghost, "STOR", at(server, "old"), "x", confirmed=True).connection()
        data.sendall(CONTENT[:2_000_000])
        _wait_until_taken(server.root / "old", 1_000_000)
        upload = source(tmp_path)(at(server, "new"))
        part = part_of(at(server, "old"), 1_000_000)
        assert resume_upload(session, upload, part, Conduct()) == stored(CONTENT)
        data.sendall(CONTENT[2_000_000:3_000_000])
        finish_upload(ghost, data, "x")
        # A further attempt of the ghost's would write to the old name.
        again = open_transfer(ghost, "STOR", at(server, "old"), "x", confirmed=True)
        finish_upload(ghost, again.connection(), "x")
    assert (server.root / "new").read_bytes() == CONTENT


def test_vsftpd_lets_nobody_go_on_with_a_file_that_is_still_written(
    vsftpd: Callable[..., FtpServer], tmp_path: Path
) -> None:
    """The part is under a new name by then, so the next attempt finds none and sends all of it."""
    server = vsftpd()
    waiting = Deadlines(5, 2, 5)
    with session_on(server) as ghost, session_on(server, deadlines=waiting) as session:
        data = open_transfer(ghost, "STOR", at(server, "old"), "x", confirmed=True).connection()
        data.sendall(CONTENT[:2_000_000])
        _wait_until_taken(server.root / "old", 1_000_000)
        make = source(tmp_path)
        part = part_of(at(server, "old"), 1_000_000)
        with pytest.raises(SessionLost):
            resume_upload(session, make(at(server, "new")), part, Conduct())
        with session_on(server) as third:
            told = Told()
            outcome = resume_upload(third, make(at(server, "third")), part, told.conduct())
        assert outcome == stored(CONTENT)
        assert told.bytes == len(CONTENT)
        finish_upload(ghost, data, "x")
    assert (server.root / "third").read_bytes() == CONTENT
    server.remove()


def _wait_until_taken(path: Path, size: int) -> None:
    while not path.exists() or path.stat().st_size < size:
        os.sched_yield()


def test_a_long_file_lets_others_go_first_and_is_gone_on_with(
    ftp_server: FtpServer, tmp_path: Path
) -> None:
    """At each border of a chunk here; three names, the last of which is the file."""
    told = Told()
    make = source(tmp_path)
    with session_on(ftp_server) as session:
        conduct = told.conduct(yields=lambda: told.bytes in (1024 * 1024, 3 * 1024 * 1024))
        ((_, first),) = upload_files(session, [make(at(ftp_server, "one"))], conduct)
        assert first == part_of(at(ftp_server, "one"), 1024 * 1024, ended=True)
        second = resume_upload(session, make(at(ftp_server, "two")), first, conduct)
        assert second == part_of(at(ftp_server, "two"), 3 * 1024 * 1024, ended=True)
        assert resume_upload(session, make(at(ftp_server, "new")), second, conduct) == stored(
            CONTENT
        )
    assert told.bytes == len(CONTENT)
    assert (ftp_server.root / "new").read_bytes() == CONTENT
    assert [path.name for path in ftp_server.root.iterdir()] == ["new"]


def test_a_long_file_is_kept_each_second(pyftpd_server: FtpServer, tmp_path: Path) -> None:
    ticks = iter(range(1000))
    told = Told()
    conduct = told.conduct(clock=lambda: next(ticks) * 0.6)
    with session_on(pyftpd_server) as session:
        list(upload_files(session, [source(tmp_path)(at(pyftpd_server, "new"))], conduct))
    # Chunks end at 1 MiB, 2 MiB ...; the clock is asked once or twice at each.
    assert [part.offset for part in told.parts] == [2 * 1024**2, 4 * 1024**2]
    assert told.parts[0] == part_of(at(pyftpd_server, "new"), 2 * 1024**2)


def test_an_attempt_that_was_taken_away_stops_at_the_next_chunk(
    pyftpd_server: FtpServer, tmp_path: Path
) -> None:
    told = Told()

    def moved(count: int) -> None:
        told.bytes += count
        if told.bytes > 2_000_000:
            raise LeaseLost("gone")

    conduct = Conduct(moved=moved, keep=told._keep)
    with session_on(pyftpd_server) as session:
        with pytest.raises(LeaseLost):
            list(upload_files(session, [source(tmp_path)(at(pyftpd_server, "new"))], conduct))
        assert session.lost
    assert told.parts == [part_of(at(pyftpd_server, "new"), 2 * 1024**2)]


def test_a_paced_transfer_keeps_to_its_rate(pyftpd_server: FtpServer, tmp_path: Path) -> None:
    now = 100.0

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    pace = Pace(1_000_000, clock=lambda: now, sleep=sleep)
    with session_on(pyftpd_server) as session:
        upload = source(tmp_path)(at(pyftpd_server, "new"))
        ((_, outcome),) = upload_files(session, [upload], Conduct(pace=pace))
    assert outcome == stored(CONTENT)
    # Five seconds' worth of bytes, of which a quarter of a second may be ahead.
    assert 4.7 <= now - 100 <= 5.0


# -- dialogues -----------------------------------------------------------------------------------


SHORT = b"0123456789"
ADOPT = turn(("RNFR /old", "350 go on"), ("RNTO /new", "250 moved"), ("SIZE /new", "213 4"))
ANEW = turn(("DELE /new", "250 gone"), EPSV, ("STOR /new", "150 go", RECEIVE, "226 done"))
RESTARTING = login("EPSV", "SIZE", "UTF8", "REST STREAM")


def resume_short(script: list[Turn], folder: Path, part: Part) -> tuple[Outcome, list[bytes]]:
    with ScriptedServer(script) as server, scripted_session(server) as session:
        upload = source(folder, SHORT)("/new")
        outcome = resume_upload(session, upload, part, Conduct())
        assert not session.lost
    return outcome, server.received


def rest_refused(*then: Turn) -> list[Turn]:
    return [
        *RESTARTING,
        ADOPT,
        turn(EPSV, ("REST 4", "501 REST: Resuming transfers not allowed")),
        *then,
        turn(("SIZE /new", "213 10")),
    ]


def test_nothing_is_sent_before_the_server_has_taken_the_restart_point(tmp_path: Path) -> None:
    """Behind a REST that was refused, STOR would write the end of the file at its beginning."""
    script = [
        *RESTARTING,
        ADOPT,
        turn(EPSV, ("REST 4", "350 Restarting at 4")),
        turn(("STOR /new", "150 go", RECEIVE, "226 done")),
        turn(("SIZE /new", "213 10")),
    ]
    outcome, received = resume_short(script, tmp_path, part_of("/old", 4, SHORT))
    assert outcome == stored(SHORT, None)
    assert received == [b"456789"]


def test_where_restarting_is_refused_a_file_that_may_still_be_written_is_sent_anew(
    tmp_path: Path,
) -> None:
    script = rest_refused(ANEW)
    outcome, received = resume_short(script, tmp_path, part_of("/old", 4, SHORT))
    assert outcome == stored(SHORT, None)
    assert received == [SHORT]


def test_where_restarting_is_refused_a_file_that_was_ended_is_appended_to(tmp_path: Path) -> None:
    script = rest_refused(turn(EPSV, ("APPE /new", "150 go", RECEIVE, "226 done")))
    outcome, received = resume_short(script, tmp_path, part_of("/old", 4, SHORT, ended=True))
    assert outcome == stored(SHORT, None)
    assert received == [b"456789"]


def test_where_nothing_can_be_gone_on_with_the_file_is_sent_anew_and_the_server_is_not_asked_again(
    tmp_path: Path,
) -> None:
    script = rest_refused(
        turn(EPSV, ("APPE /new", "502 no APPE")),
        ANEW,
        turn(("SIZE /new", "213 10")),
        turn(("RNFR /new", "350 go"), ("RNTO /next", "250 moved"), ("SIZE /next", "213 4")),
        turn(("DELE /next", "250 gone"), EPSV, ("STOR /next", "150 go", RECEIVE, "226 done")),
    )
    script[-1] = turn(("SIZE /next", "213 10"))
    with ScriptedServer(script) as server, scripted_session(server) as session:
        make = source(tmp_path, SHORT)
        first = part_of("/old", 4, SHORT, ended=True)
        assert resume_upload(session, make("/new"), first, Conduct()) == stored(SHORT, None)
        second = part_of("/new", 4, SHORT, ended=True)
        assert resume_upload(session, make("/next"), second, Conduct()) == stored(SHORT, None)
    assert server.received[-2:] == [SHORT, SHORT]


def test_a_server_that_does_not_speak_of_restarting_is_not_asked_to(tmp_path: Path) -> None:
    script = [
        *LOGIN,
        ADOPT,
        ANEW,
        turn(("SIZE /new", "213 10")),
    ]
    outcome, received = resume_short(script, tmp_path, part_of("/old", 4, SHORT))
    assert (outcome, received) == (stored(SHORT, None), [SHORT])


def test_a_refusal_is_the_files_outcome(tmp_path: Path) -> None:
    script = [
        *RESTARTING,
        ADOPT,
        turn(EPSV, ("REST 4", "350 go")),
        turn(("STOR /new", "553 /new: Permission denied")),
        turn(("DELE /new", "550 no"), EPSV, ("STOR /new", "553 /new: Permission denied")),
    ]
    outcome, _ = resume_short(script, tmp_path, part_of("/old", 4, SHORT))
    assert isinstance(outcome, NotPermitted)


def test_a_source_that_is_gone_is_the_files_outcome(
    pyftpd_server: FtpServer, tmp_path: Path
) -> None:
    upload = source(tmp_path)(at(pyftpd_server, "new"))
    Path(upload.found.local).unlink()
    Path(upload.found.local).symlink_to("elsewhere")
    with session_on(pyftpd_server) as session:
        outcome = resume_upload(session, upload, part_of("/old", 4), Conduct())
        assert isinstance(outcome, SourceChanged)
        assert _goes_on(session)


def test_a_restart_that_the_server_takes_back_is_no_failure(
    proftpd: Callable[..., FtpServer], tmp_path: Path
) -> None:
    """ProFTPD as it comes: REST is answered with 350, and the STOR or APPE behind it with 451."""
    server = proftpd(extra=["AllowStoreRestart off"])
    plant_part(server, 3_000_000)
    part = part_of(at(server, "old"), 3_000_000, ended=True)
    assert resume(server, tmp_path, part) == len(CONTENT)
    server.remove()


@pytest.mark.parametrize("features", [LOGIN, RESTARTING], ids=["no REST", "REST taken back"])
def test_a_file_that_cannot_be_gone_on_with_does_not_yield_again(
    tmp_path: Path, features: list[Turn]
) -> None:
    """Or it would be begun anew for ever."""
    attempts = [turn(EPSV, ("REST 4", "501 no"))] if features is RESTARTING else []
    script = [*features, ADOPT, *attempts, ANEW, turn(("SIZE /new", "213 5000"))]
    content = bytes(5000)
    with ScriptedServer(script) as server, scripted_session(server) as session:
        # Chunks of 1 kB, and it is to yield at each.
        conduct = Conduct(yields=lambda: True, pace=Pace(1, sleep=lambda _seconds: None))
        upload = source(tmp_path, content)("/new")
        outcome = resume_upload(session, upload, part_of("/old", 4, content), conduct)
    assert outcome == stored(content, None)


def test_a_restart_point_that_was_taken_for_nothing_does_not_hold_for_the_next_file(
    tmp_path: Path,
) -> None:
    """EPSV refused beside a REST that was not, as when two sessions come upon one port."""
    script = [
        *RESTARTING,
        ADOPT,
        turn(("EPSV", "425 Address already in use"), ("REST 4", "350 go")),
        turn(("EPSV", "425 Address already in use"), ("REST 4", "350 go")),
        turn(("REST 0", "350 from the beginning")),
        ANEW,
        turn(("SIZE /new", "213 10")),
    ]
    outcome, received = resume_short(script, tmp_path, part_of("/old", 4, SHORT))
    assert (outcome, received) == (stored(SHORT, None), [SHORT])


def test_a_refused_epsv_is_tried_once_more_before_a_restart(tmp_path: Path) -> None:
    script = [
        *RESTARTING,
        ADOPT,
        turn(("EPSV", "522 what?"), ("REST 4", "350 go")),
        turn(PASV, ("REST 4", "350 go")),
        turn(("STOR /new", "150 go", RECEIVE, "226 done")),
        turn(("SIZE /new", "213 10")),
    ]
    outcome, received = resume_short(script, tmp_path, part_of("/old", 4, SHORT))
    assert (outcome, received) == (stored(SHORT, None), [b"456789"])


@pytest.mark.parametrize("kind", ["proftpd", "pureftpd", "pyftpd"])
def test_where_the_source_is_another_one_nobody_writes_into_what_is_sent_anew(
    servers: Servers, tmp_path: Path, kind: str
) -> None:
    """An earlier attempt's open connection writes into a file that nobody sees any more."""
    server = servers.shared(kind, tls=False).fresh()
    changed = bytes(len(CONTENT))
    with session_on(server) as ghost, session_on(server) as session:
        data = open_transfer(ghost, "STOR", at(server, "old"), "x", confirmed=True).connection()
        data.sendall(CONTENT[:2_000_000])
        _wait_until_taken(server.root / "old", 1_000_000)
        upload = source(tmp_path, changed)(at(server, "new"))
        part = part_of(at(server, "old"), 1_000_000)
        assert resume_upload(session, upload, part, Conduct()) == stored(changed)
        data.sendall(CONTENT[2_000_000:3_000_000])
        finish_upload(ghost, data, "x")
    assert (server.root / "new").read_bytes() == changed


def _goes_on(session: Session) -> bool:
    return session.command("NOOP", "saying nothing").ok


def test_a_whole_file_is_settled_by_looking(tmp_path: Path) -> None:
    """Its last 226 was lost: no byte is sent again."""
    script = [
        *RESTARTING,
        turn(("RNFR /old", "350 go on"), ("RNTO /new", "250 moved"), ("SIZE /new", "213 10")),
        turn(("SIZE /new", "213 10")),
    ]
    outcome, received = resume_short(script, tmp_path, part_of("/old", 10, SHORT))
    assert isinstance(outcome, Stored)
    assert received == []
