"""Digests of remote files: as ProFTPD tells them with mod_digest, as scripts do, and downloaded."""

from __future__ import annotations

import hashlib
import os
import tracemalloc
from collections.abc import Iterator

import pytest

from siteferry.errors import NotFound, PathRefused, PermanentReply, TransferMismatch, TransientReply
from siteferry.ftp.checksums import download_digest, remote_digests
from siteferry.ftp.session import Session
from siteferry.tree.content_digest import Algorithm, ContentDigest, local_digest
from tests.conftest import Servers
from tests.servers.base import FtpServer, remove_tree
from tests.servers.downloads import plant_contents
from tests.servers.scripted import (
    EPSV,
    Action,
    Deliver,
    ScriptedServer,
    Turn,
    login,
    turn,
)
from tests.servers.sessions import (
    found_file,
    give_to_the_server,
    plant,
    scripted_session,
    session_on,
)
from tests.servers.wire import WireProxy

_DIGEST_LINES = ("LoadModule mod_digest.c", "DigestEngine on")
NAMES = ["a", "a b.txt", " lead", "x 0 1", "ü", "-la", "c;d", "it's", 'q"q', "*", "50%s"]
"""Files that hold their names, as `plant` makes them."""


@pytest.fixture(scope="module")
def digest_server(servers: Servers) -> FtpServer:
    """ProFTPD with mod_digest, all algorithms."""
    return servers.start("proftpd", extra=(*_DIGEST_LINES, "DigestAlgorithms all"))


@pytest.fixture
def hashing(digest_server: FtpServer) -> Iterator[FtpServer]:
    area = digest_server.fresh()
    plant(area, *NAMES, "dir/")
    yield area
    remove_tree(area.root)


def remote(server: FtpServer, name: str) -> str:
    return f"{server.remote_root}/{name}".replace("//", "/")


def of(content: bytes, algorithm: Algorithm = "sha256") -> ContentDigest:
    return ContentDigest(algorithm, hashlib.new(algorithm, content).hexdigest())


def without(session: Session, *words: str) -> Session:
    """The same session, as if the server's FEAT did not list `words`."""
    session.profile.features = session.profile.features - set(words)
    return session


# -- told by the server --------------------------------------------------------------------------


def test_proftpd_tells_sha256_by_hash_whatever_the_names(hashing: FtpServer) -> None:
    paths = {remote(hashing, name): name for name in NAMES}
    with session_on(hashing) as session:
        assert "HASH" in session.profile.features
        told = remote_digests(session, list(paths))
        assert session.command("NOOP", "saying nothing").ok
    assert told == {path: of(name.encode()) for path, name in paths.items()}


def test_a_name_that_is_not_of_the_sessions_encoding_has_its_digest(hashing: FtpServer) -> None:
    name = os.fsdecode(b"caf\xe9")
    plant_contents(hashing, {name: b"latin"})
    path = remote(hashing, name)
    for missing in [(), ("HASH", "XSHA256", "XSHA512", "XSHA1", "XSHA", "XMD5")]:
        with session_on(hashing) as session:
            (told,) = remote_digests(without(session, *missing), [path]).values()
        assert told == of(b"latin", "md5" if missing else "sha256")


@pytest.mark.parametrize(
    ("missing", "algorithm"),
    [
        (("HASH",), "sha256"),
        (("HASH", "XSHA256"), "sha512"),
        (("HASH", "XSHA256", "XSHA512"), "sha1"),
        (("HASH", "XSHA256", "XSHA512", "XSHA1"), "sha1"),
        (("HASH", "XSHA256", "XSHA512", "XSHA1", "XSHA"), "md5"),
        (("HASH", "XSHA256", "XSHA512", "XSHA1", "XSHA", "XMD5"), "md5"),
    ],
)
def test_proftpd_tells_the_best_that_is_left_by_the_older_verbs(
    hashing: FtpServer, missing: tuple[str, ...], algorithm: Algorithm
) -> None:
    paths = {remote(hashing, name): name for name in NAMES}
    with session_on(hashing) as session:
        told = remote_digests(without(session, *missing), list(paths))
    assert told == {path: of(name.encode(), algorithm) for path, name in paths.items()}


def test_a_path_that_cannot_be_quoted_for_the_older_verbs_has_no_digest(hashing: FtpServer) -> None:
    plant(hashing, 'b "q"')
    path = remote(hashing, 'b "q"')
    with session_on(hashing) as session:
        assert remote_digests(session, [path]) == {path: of(b'b "q"')}
        assert remote_digests(without(session, "HASH"), [path]) == {path: None}


def test_a_directory_and_what_is_missing_have_no_digest(hashing: FtpServer) -> None:
    paths = [remote(hashing, name) for name in ("dir", "none", "a")]
    for missing in [(), ("HASH",)]:
        with session_on(hashing) as session:
            told = remote_digests(without(session, *missing), paths)
        assert list(told.values()) == [None, None, of(b"a")]


def test_a_server_with_md5_alone_tells_md5(servers: Servers) -> None:
    server = servers.start("proftpd", extra=(*_DIGEST_LINES, "DigestAlgorithms md5"))
    plant(server, "a b")
    path = remote(server, "a b")
    with session_on(server) as session:
        assert remote_digests(session, [path]) == {path: of(b"a b", "md5")}
    server.remove()


def test_a_thousand_digests_take_few_round_trips(hashing: FtpServer) -> None:
    names = [f"n{number}" for number in range(1000)]
    plant(hashing, *names)
    with WireProxy(hashing, merge_seconds=0.02) as proxy, session_on(proxy.server) as session:
        before = proxy.round_trips
        told = remote_digests(session, [remote(hashing, name) for name in names])
        assert proxy.round_trips - before <= 6
    assert list(told.values()) == [of(name.encode()) for name in names]


def test_a_server_without_any_way_is_not_asked(ftp_server: FtpServer) -> None:
    path = remote(ftp_server, "a")
    with WireProxy(ftp_server) as proxy, session_on(proxy.server) as session:
        before = len(proxy.commands)
        assert remote_digests(session, [path]) == {path: None}
        assert remote_digests(session, []) == {}
        assert len(proxy.commands) == before


A = of(b"a").value
FEAT: Turn = turn(("FEAT", "211-Features:\r\n HASH SHA-1*;sha-256;CRC32\r\n211 End"))


def told_by_hash(answer: str) -> ContentDigest | None:
    script = [
        *login("HASH SHA-1*;SHA-256"),
        FEAT,
        turn(("OPTS HASH SHA-256", "200 SHA-256"), ("HASH /w/a", answer)),
    ]
    with ScriptedServer(script) as server, scripted_session(server) as session:
        return remote_digests(session, ["/w/a"])["/w/a"]


@pytest.mark.parametrize(
    "answer",
    [
        f"213 SHA-256 0-1 {A} /w/a",
        f"213-Computing\r\n213 SHA-256 0-0 {A.upper()} a",
        f"213 sha-256 0-1 {A} //w/a",
    ],
)
def test_a_reply_to_hash_is_understood(answer: str) -> None:
    assert told_by_hash(answer) == of(b"a")


def test_the_algorithm_is_the_one_that_the_reply_names() -> None:
    digest = of(b"a", "sha1")
    assert told_by_hash(f"213 SHA-1 0-1 {digest.value} /w/a") == digest


@pytest.mark.parametrize(
    "answer",
    [
        "213 CRC32 0-1 e8b7be43 /w/a",
        f"213 SHA-1 0-1 {A} /w/a",
        f"213 SHA-256 1-1 {A} /w/a",
        f"213 SHA-256 0-1 {A[:-1]} /w/a",
        f"213 SHA-256 0-1 {A[:-1]}g /w/a",
        f"213 SHA-256 0-1 {A} /w/b",
        f"213 SHA-256 0-1 {A}",
        f"213 {A}",
        f"250 SHA-256 0-1 {A} /w/a",
        f"550 SHA-256 0-1 {A} /w/a",
        "450 busy",
        "556 too large",
        "213 ",
    ],
)
def test_a_reply_to_hash_that_is_not_just_so_tells_nothing(answer: str) -> None:
    assert told_by_hash(answer) is None


def told_by_verb(verb: str, answer: str) -> ContentDigest | None:
    path = "/w/a b" if verb == "MD5" else '"/w/a b"'
    script = [*login("XCRC", verb), turn((f"{verb} {path}", answer))]
    with ScriptedServer(script) as server, scripted_session(server) as session:
        return remote_digests(session, ["/w/a b"])["/w/a b"]


@pytest.mark.parametrize(
    ("verb", "answer", "algorithm"),
    [
        ("XSHA256", "250 {}", "sha256"),
        ("XSHA256", "213 {}", "sha256"),
        ("XSHA1", "250 XSHA1 {}", "sha1"),
        ("XMD5", "250-Computing\r\n250 {}", "md5"),
        ("MD5", "251 /w/a b {}", "md5"),
        ("MD5", '251 "/w/a b" {}', "md5"),
    ],
)
def test_a_reply_to_an_older_verb_is_understood(
    verb: str, answer: str, algorithm: Algorithm
) -> None:
    digest = of(b"a", algorithm)
    assert told_by_verb(verb, answer.format(digest.value.upper())) == digest


@pytest.mark.parametrize(
    "answer",
    [
        f"250 {A[:-2]}",
        f"250 {A} /w/a b",
        f"250 /w/other {A}",
        f"200 {A}",
        f"550 {A}",
        f"250 SHA-1 {A}",
        "250 ",
        "500 what?",
    ],
)
def test_a_reply_to_an_older_verb_that_is_not_just_so_tells_nothing(answer: str) -> None:
    assert told_by_verb("XSHA256", answer) is None


def test_a_server_that_has_only_a_checksum_of_32_bits_is_not_asked_for_it() -> None:
    feat = turn(("FEAT", "211-Features:\r\n HASH CRC32*\r\n211 End"))
    with (
        ScriptedServer([*login("HASH CRC32*", "XCRC"), feat]) as server,
        scripted_session(server) as session,
    ):
        assert remote_digests(session, ["/w/a"]) == {"/w/a": None}


def test_a_path_that_cannot_be_sent_is_refused_before_anything_is(hashing: FtpServer) -> None:
    with session_on(hashing) as session:
        for missing in [(), ("HASH",)]:
            with pytest.raises(PathRefused):
                remote_digests(without(session, *missing), ["/a", "/b\r\nDELE /a"])
        assert session.command("NOOP", "saying nothing").ok
    assert (hashing.root / "a").exists()


# -- downloaded ----------------------------------------------------------------------------------


def check_downloads(server: FtpServer) -> None:
    contents = {"empty": b"", "small": b"x", "a b": os.urandom(700_000)}
    for name, content in contents.items():
        (server.root / name).write_bytes(content)
    give_to_the_server(server.root)
    with session_on(server) as session:
        for name, content in contents.items():
            digest = download_digest(session, remote(server, name))
            assert digest == of(content)
            assert digest == local_digest(found_file(server.root / name), digest.algorithm)
            assert download_digest(session, remote(server, name), len(content)) == digest


def test_a_download_gives_the_digest_that_the_local_file_has(ftp_server: FtpServer) -> None:
    check_downloads(ftp_server)


def test_a_download_over_tls_gives_it_too(ftps_server: FtpServer) -> None:
    check_downloads(ftps_server)


def test_what_is_missing_is_not_found_and_the_session_goes_on(ftp_server: FtpServer) -> None:
    plant(ftp_server, "a")
    with session_on(ftp_server) as session:
        with pytest.raises(PermanentReply) as error:
            download_digest(session, remote(ftp_server, "none"))
        # vsftpd says "550 Failed to open file." of everything.
        assert isinstance(error.value, NotFound) or ftp_server.kind == "vsftpd"
        assert download_digest(session, remote(ftp_server, "a")) == of(b"a")


def test_another_size_than_the_listing_told_is_a_mismatch(ftp_server: FtpServer) -> None:
    plant(ftp_server, "a")
    with session_on(ftp_server) as session:
        with pytest.raises(TransferMismatch, match="1 bytes have come, it should be 2"):
            download_digest(session, remote(ftp_server, "a"), 2)
        assert download_digest(session, remote(ftp_server, "a"), 1) == of(b"a")


def test_a_large_file_is_hashed_in_little_memory(pyftpd_server: FtpServer) -> None:
    content = bytes(32 * 1024 * 1024)
    (pyftpd_server.root / "large").write_bytes(content)
    give_to_the_server(pyftpd_server.root)
    with session_on(pyftpd_server) as session:
        download_digest(session, remote(pyftpd_server, "large"))  # imports and caches
        tracemalloc.start()
        try:
            assert download_digest(session, remote(pyftpd_server, "large")) == of(content)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    # pyftpdlib runs in a process of its own; so this is ours alone.
    assert peak < 2 * 1024 * 1024


def retrieving(*answer: Action, size: str = "213 1") -> list[Turn]:
    actions: tuple[Action, ...] = ("150 go", *answer)
    return [*login("EPSV"), turn(("SIZE /w/a", size), EPSV, ("RETR /w/a", *actions))]


@pytest.mark.parametrize("size", ["213 1", "500 what?", "213 many"])
def test_a_server_that_knows_no_size_is_believed_at_the_end(size: str) -> None:
    script = retrieving(Deliver(b"a"), "226 done", size=size)
    with ScriptedServer(script) as server, scripted_session(server) as session:
        assert download_digest(session, "/w/a") == of(b"a")


@pytest.mark.parametrize("code", [426, 450, 451])
def test_a_server_that_says_of_a_whole_file_that_it_broke_off_is_not_believed(code: int) -> None:
    script = retrieving(Deliver(b"a"), f"{code} broken")
    with ScriptedServer(script) as server, scripted_session(server) as session:
        assert download_digest(session, "/w/a") == of(b"a")


def test_a_part_is_never_taken_for_the_whole() -> None:
    broken = retrieving(Deliver(b"a"), "426 broken", size="213 2")
    with (
        ScriptedServer(broken) as server,
        scripted_session(server) as session,
        pytest.raises(TransientReply, match="426 broken"),
    ):
        download_digest(session, "/w/a")
    short = retrieving(Deliver(b"a"), "226 done", size="213 2")
    with ScriptedServer(short) as server, scripted_session(server) as session:
        with pytest.raises(TransferMismatch):
            download_digest(session, "/w/a")
        assert not session.lost


def test_of_a_file_that_has_grown_a_lot_not_all_is_read(ftp_server: FtpServer) -> None:
    (ftp_server.root / "a").write_bytes(bytes(64 * 1024 * 1024))
    give_to_the_server(ftp_server.root)
    with session_on(ftp_server) as session:
        with pytest.raises(TransferMismatch, match="more comes than the 1 bytes"):
            download_digest(session, remote(ftp_server, "a"), 1)
        assert session.lost
