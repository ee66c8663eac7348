"""Large files that go on where they broke off: never a mixture of two versions or two attempts."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from siteferry.errors import SiteferryError, TransferMismatch
from siteferry.ftp import landing
from siteferry.ftp.download import Download, Fetched, download_files
from tests.servers.base import FtpServer
from tests.servers.downloads import download, fetched, plant_contents
from tests.servers.sessions import MTIME, session_on

LARGE = random.Random(5).randbytes(6_000_000)


class Stopped(Exception):
    """What a test raises in the middle of a transfer."""


def break_off(server: FtpServer, one: Download, after_bytes: int) -> int:
    """Stop a download in the middle, as a lost connection would; how much was written."""
    count = 0

    def stop(chunk: int) -> None:
        nonlocal count
        count += chunk
        if count >= after_bytes:
            raise Stopped

    with session_on(server) as session, pytest.raises(Stopped):
        list(download_files(session, [one], stop))
    return count


def go_on(server: FtpServer, one: Download) -> tuple[Fetched | SiteferryError, int]:
    moved: list[int] = []
    with session_on(server) as session:
        ((_, outcome),) = download_files(session, [one], moved.append)
        assert session.command("NOOP", "saying nothing").ok
    return outcome, sum(moved)


def resume(server: FtpServer, folder: Path) -> None:
    plant_contents(server, {"large": LARGE, "other": b"o"})
    one = download(server, folder, "large", size=len(LARGE), mtime=MTIME, resume=True)
    (folder / "large").write_text("before")
    written = break_off(server, one, 2_000_000)
    assert (folder / "large").read_text() == "before"
    (part,) = set(folder.iterdir()) - {folder / "large"}
    assert part.name.startswith(landing.PART_PREFIX)
    assert part.read_bytes() == LARGE[:written]
    outcome, moved = go_on(server, one)
    assert outcome == fetched(LARGE)
    assert moved == len(LARGE) - written
    assert (folder / "large").read_bytes() == LARGE
    assert list(folder.iterdir()) == [folder / "large"]


def test_a_large_file_goes_on_where_it_broke_off(ftp_server: FtpServer, tmp_path: Path) -> None:
    resume(ftp_server, tmp_path)


def test_a_large_file_over_tls_goes_on_where_it_broke_off(
    ftps_server: FtpServer, tmp_path: Path
) -> None:
    resume(ftps_server, tmp_path)


def test_a_part_that_holds_all_of_the_file_only_needs_the_servers_word(
    ftp_server: FtpServer, tmp_path: Path
) -> None:
    plant_contents(ftp_server, {"large": LARGE})
    one = download(ftp_server, tmp_path, "large", size=len(LARGE), mtime=MTIME, resume=True)
    assert break_off(ftp_server, one, len(LARGE)) == len(LARGE)
    assert go_on(ftp_server, one) == (fetched(LARGE), 0)


@pytest.mark.parametrize("change", ["size", "time"])
def test_a_file_that_has_changed_meanwhile_begins_anew(
    ftp_server: FtpServer, tmp_path: Path, change: str
) -> None:
    plant_contents(ftp_server, {"large": LARGE})
    one = download(ftp_server, tmp_path, "large", size=len(LARGE), mtime=MTIME, resume=True)
    break_off(ftp_server, one, 2_000_000)
    other = LARGE[::-1] + (b"more" if change == "size" else b"")
    plant_contents(ftp_server, {"large": other})
    if change == "time":
        os.utime(ftp_server.root / "large", (MTIME + 1, MTIME + 1))
    outcome, moved = go_on(ftp_server, one)
    assert moved == len(other)
    if change == "size":
        assert isinstance(outcome, TransferMismatch)
        assert list(tmp_path.iterdir()) == []
    else:
        assert isinstance(outcome, Fetched)
        assert (tmp_path / "large").read_bytes() == other


def test_what_began_anew_and_breaks_off_again_is_no_mixture(
    pyftpd_server: FtpServer, tmp_path: Path
) -> None:
    plant_contents(pyftpd_server, {"large": LARGE})
    one = download(pyftpd_server, tmp_path, "large", size=len(LARGE), mtime=MTIME, resume=True)
    break_off(pyftpd_server, one, 2_000_000)
    other = LARGE[::-1]
    plant_contents(pyftpd_server, {"large": other})
    os.utime(pyftpd_server.root / "large", (MTIME + 1, MTIME + 1))
    written = break_off(pyftpd_server, one, 500_000)
    (part,) = tmp_path.iterdir()
    assert part.read_bytes() == other[:written]


def test_a_new_version_never_goes_on_from_a_part_of_the_old_one(
    ftp_server: FtpServer, tmp_path: Path
) -> None:
    """After the next listing the caller knows another time: that is another part."""
    plant_contents(ftp_server, {"large": LARGE})
    one = download(ftp_server, tmp_path, "large", size=len(LARGE), mtime=MTIME, resume=True)
    break_off(ftp_server, one, 2_000_000)
    plant_contents(ftp_server, {"large": LARGE[::-1]})
    os.utime(ftp_server.root / "large", (MTIME + 1, MTIME + 1))
    two = download(ftp_server, tmp_path, "large", size=len(LARGE), mtime=MTIME + 1, resume=True)
    outcome, moved = go_on(ftp_server, two)
    assert (outcome, moved) == (fetched(LARGE[::-1], MTIME + 1), len(LARGE))


def test_two_attempts_at_once_do_not_write_the_same_part(
    pyftpd_server: FtpServer, tmp_path: Path
) -> None:
    """The slower one, given up for dead, goes on while its successor fetches the file."""
    plant_contents(pyftpd_server, {"large": LARGE})
    one = download(pyftpd_server, tmp_path, "large", size=len(LARGE), mtime=MTIME, resume=True)
    successor: list[Fetched | SiteferryError] = []

    def overtaken(_chunk: int) -> None:
        if not successor:
            successor.append(go_on(pyftpd_server, one)[0])

    with session_on(pyftpd_server) as session:
        ((_, outcome),) = download_files(session, [one], overtaken)
    assert [outcome, *successor] == [fetched(LARGE)] * 2
    assert (tmp_path / "large").read_bytes() == LARGE
    assert list(tmp_path.iterdir()) == [tmp_path / "large"]


def test_what_cannot_be_resumed_leaves_nothing_behind(
    pyftpd_server: FtpServer, tmp_path: Path
) -> None:
    plant_contents(pyftpd_server, {"large": LARGE})
    for known in ({"size": len(LARGE)}, {"mtime": MTIME}, {"size": len(LARGE), "mtime": MTIME}):
        asked = "size" not in known or "mtime" not in known
        one = download(pyftpd_server, tmp_path, "large", **known, resume=asked)
        break_off(pyftpd_server, one, 2_000_000)
        assert list(tmp_path.iterdir()) == []
