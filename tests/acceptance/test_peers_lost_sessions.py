"""Sessions that break off, fall silent or give half an answer: what users of other clients report
of them, tried with siteferry's imports. See test_peers_failures.py for the numbers."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest

from siteferry.run import RunState
from tests.acceptance.test_peers_failures import FILES, Site
from tests.acceptance.test_peers_failures import make_site as make_site
from tests.clear_errors import everything_below
from tests.installation import BASE_NAME, left_over, tree_of, write_tree
from tests.servers.base import FtpServer
from tests.servers.wire import WireProxy
from tests.servers.wire_faults import (
    Blackhole,
    CutControl,
    CutData,
    Fault,
    SayInstead,
    Silent,
    Truncate,
)

MakeSite = Callable[..., Site]

PAGES = {f"page-{n:02}.html": f"page {n}, a little longer" for n in range(40)}
DOCUMENTS = 2
"""Manifest and journal, which each import that changes something stores as well."""


def stored(proxy: WireProxy) -> int:
    return sum(command.startswith("STOR ") for command in proxy.commands)


DROPS: dict[str, Fault] = {
    "421 and FIN": SayInstead(
        "STOR",
        "421 Session Timeout (3600 seconds): closing control connection.",
        number=15,
        then_hang_up=True,
    ),
    "reset before a file": CutControl("STOR", 15, "before"),
    "reset before a reply": CutControl("STOR", 15, "after"),
    "reset before a port": CutControl("EPSV", 15, "before"),
    "reset in a file": CutData(5, connection=15),
    "426": SayInstead("STOR", "426 Connection closed; transfer aborted.", number=15),
}


@pytest.mark.parametrize("drop", DROPS)
def test_after_a_dropped_session_only_the_rest_is_sent(
    drop: str, ftp_server: FtpServer, make_site: MakeSite
) -> None:
    """12: ftp-deploy #430, #358, #439, #489, #510, #153: FIN, ECONNRESET or 421 in the middle, and
    everything begins again."""
    with WireProxy(ftp_server) as proxy:
        # pyftpdlib says nothing of a data connection that was reset.
        timeouts = {"control": 2, "data": 2}
        site = make_site(proxy.server, ftp={"max_connections": 1, "timeouts": timeouts})
        write_tree(site.source, PAGES)
        proxy.inject(DROPS[drop])
        done = site.run()
        assert (done.state, done.failed) == (RunState.DONE, 0), (done.error, done.failures)
        assert (done.transferred, sum(done.workers.values())) == (len(PAGES), len(PAGES))
        assert done.transferred_bytes == sum(len(text) for text in PAGES.values())
        assert stored(proxy) <= len(PAGES) + DOCUMENTS + 1, "one file at most goes a second time"
        assert proxy.logins <= 2
    assert tree_of(site.live) == tree_of(site.source)
    assert left_over(site.live) == []


def test_a_control_connection_that_is_gone_behind_a_long_upload_costs_no_second_upload(
    ftp_server: FtpServer, make_site: MakeSite
) -> None:
    """13: rclone #5328, #5596, jlaffaye/ftp #231, #237, basic-ftp #123: while a long file is sent a
    firewall forgets the control connection, and its 226 never comes."""
    with WireProxy(ftp_server) as proxy:
        site = make_site(proxy.server, ftp={"max_connections": 1})
        write_tree(site.source, PAGES)
        (site.source / "film.mp4").write_bytes(random.Random(13).randbytes(20 * 1024 * 1024))
        proxy.inject(CutControl("STOR", 1, "after"))
        done = site.run()
        assert (done.state, done.failed) == (RunState.DONE, 0), (done.error, done.failures)
        assert done.transferred == len(PAGES) + 1
        assert stored(proxy) <= len(PAGES) + 1 + DOCUMENTS + 1
    assert tree_of(site.live) == tree_of(site.source)
    assert left_over(site.live) == []


SILENCES: dict[str, Fault] = {
    "no reply": Silent("STOR", 15),
    "no data": Blackhole(0, connection=15),
    "no end": Blackhole(5, connection=15),
}


@pytest.mark.parametrize("silence", SILENCES)
def test_a_server_that_falls_silent_is_left_after_the_deadline_and_the_import_goes_on(
    silence: str, pyftpd_server: FtpServer, make_site: MakeSite
) -> None:
    """14: rclone #2912, #4694, #7022, lftp #231, #234: it hangs, and never ends."""
    with WireProxy(pyftpd_server) as proxy:
        timeouts = {"control": 0.5, "data": 0.5}
        site = make_site(proxy.server, ftp={"max_connections": 1, "timeouts": timeouts})
        write_tree(site.source, PAGES)
        proxy.inject(SILENCES[silence])
        begin = time.monotonic()
        done = site.run()
        assert (done.state, done.transferred) == (RunState.DONE, len(PAGES)), done.failures
        assert time.monotonic() - begin < 10
    assert tree_of(site.live) == tree_of(site.source)


def test_a_server_that_is_silent_for_good_ends_the_run(
    pyftpd_server: FtpServer, make_site: MakeSite
) -> None:
    """14: the same where it never gets better."""
    with WireProxy(pyftpd_server) as proxy:
        timeouts = {"control": 0.3, "data": 0.3}
        site = make_site(proxy.server, ftp={"max_connections": 1, "timeouts": timeouts})
        write_tree(site.source, PAGES)
        for number in range(1, 20):
            proxy.inject(Silent("PASS", number))
        begin = time.monotonic()
        run = site.run()
        assert time.monotonic() - begin < 10
    assert run.state is RunState.FAILED
    assert run.error is not None
    assert run.error.exit_code == 4
    assert "timed out" in run.error.message
    assert everything_below(pyftpd_server.root) == {}


def manifest_faults(path: str) -> dict[str, list[Fault]]:
    """What may go wrong, once, with the reading of the manifest at `path`."""
    size, retrieve = f"SIZE {path}", f"RETR {path}"
    return {
        "450 to SIZE": [SayInstead(size, "450 Requested file action not taken.")],
        "451 to RETR": [SayInstead(retrieve, "451 Local error in processing.")],
        "425 to RETR": [SayInstead(retrieve, "425 Can't open data connection.")],
        "421 to SIZE": [SayInstead(size, "421 Service not available.", then_hang_up=True)],
        "reset at RETR": [CutControl(retrieve)],
        "data reset": [CutData(20, "down")],
        "data cut short": [Truncate(20, "down")],
    }


@pytest.mark.parametrize("fault", manifest_faults(""))
def test_a_manifest_that_cannot_be_read_now_is_no_first_publish(
    fault: str, ftp_server: FtpServer, make_site: MakeSite
) -> None:
    """19: ftp-deploy #447 (a hiccup of the host, and 1,390 files go again), #165, #425, #173, #472:
    any error in reading the state is taken for "there is none"."""
    with WireProxy(ftp_server) as proxy:
        site = make_site(proxy.server, ftp={"max_connections": 1})
        site.publish(FILES)
        before = everything_below(site.live)
        sent = stored(proxy)
        for one in manifest_faults(f"{site.remote}/{BASE_NAME}/.htmanifest")[fault]:
            proxy.inject(one)
        done = site.run()
        assert (done.state, done.transferred, done.skipped) == (RunState.DONE, 0, len(FILES)), (
            done.error
        )
        if fault != "data cut short":  # which is damage, and the listing takes its place
            assert stored(proxy) == sent
            assert everything_below(site.live) == before


@pytest.mark.parametrize("reply", ["450 Requested file action not taken.", "550 Access denied."])
def test_a_manifest_that_stays_unreadable_ends_the_run_with_the_servers_words(
    reply: str, ftp_server: FtpServer, make_site: MakeSite
) -> None:
    """19: the same where the host does not recover, or has taken the right to read away."""
    with WireProxy(ftp_server) as proxy:
        site = make_site(proxy.server, ftp={"max_connections": 1})
        site.publish(FILES)
        before, sent = everything_below(site.live), stored(proxy)
        for number in range(1, 20):
            manifest = f"{site.remote}/{BASE_NAME}/.htmanifest"
            proxy.inject(SayInstead(f"SIZE {manifest}", reply, number=number))
        run = site.run()
        assert run.state is RunState.FAILED
        assert run.error is not None
        assert run.error.reply == reply
        assert stored(proxy) == sent
        assert everything_below(site.live) == before
