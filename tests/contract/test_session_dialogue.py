"""What a session makes of servers that cannot be installed: the dialogue, line by line."""

from __future__ import annotations

import pytest

from siteferry.errors import (
    ConnectionLimited,
    HostUnknown,
    HostUnreachable,
    NotAnFtpServer,
    PathRefused,
    SessionLost,
    TlsFailed,
)
from siteferry.ftp.bursts import BURST_COMMANDS, CAREFUL_BYTES
from siteferry.ftp.endpoint import Deadlines, Endpoint
from siteferry.ftp.session import Session
from siteferry.secret import Secret
from tests.servers import scripted
from tests.servers.scripted import HANG_UP, LOGIN, Endless, Raw, ScriptedServer, turn
from tests.servers.sessions import refused_login, scripted_endpoint, scripted_session


def open_scripted(server: ScriptedServer, **changes: object) -> None:
    refused_login(scripted_endpoint(server, **changes), scripted.USER, scripted.PASSWORD)


def test_an_ssh_server_is_recognised() -> None:
    banner = Raw(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n")
    with (
        ScriptedServer([], greeting=banner) as server,
        pytest.raises(NotAnFtpServer, match="SSH/SFTP") as error,
    ):
        open_scripted(server)
    assert "usually 21" in error.value.next_step


def test_something_that_does_not_speak_ftp_is_shown_in_its_own_words() -> None:
    with (
        ScriptedServer([], greeting="HTTP/1.1 400 Bad Request") as server,
        pytest.raises(NotAnFtpServer, match="does not speak FTP") as error,
    ):
        open_scripted(server)
    assert error.value.reply == "HTTP/1.1 400 Bad Request"


def test_a_greeting_of_many_lines_is_read_to_its_end() -> None:
    greeting = "220-Welcome\r\n220-to\r\n 220 not yet\r\n220here?\r\n220 go"
    with (
        ScriptedServer(LOGIN, greeting=greeting) as server,
        scripted_session(server) as session,
    ):
        assert session.welcome == "220 go"


@pytest.mark.parametrize(
    "greeting",
    [
        "421 There are too many connected users, please try later.",
        "421 8 users (the maximum) are already logged in, sorry",
        "421 Too many connections (8) from this IP",
    ],
)
def test_a_greeting_that_turns_us_away_for_number_is_a_limit(greeting: str) -> None:
    with (
        ScriptedServer([], greeting=greeting) as server,
        pytest.raises(ConnectionLimited) as limited,
    ):
        open_scripted(server)
    assert limited.value.reply == greeting
    assert limited.value.transient


@pytest.mark.parametrize("code", [421, 530])
def test_a_limit_that_shows_only_after_the_password_is_a_limit(code: int) -> None:
    said = f"{code} Sorry, the maximum number of clients (3) for this user are already connected."
    script = [LOGIN[0], turn((f"PASS {scripted.PASSWORD}", said))]
    with ScriptedServer(script) as server, pytest.raises(ConnectionLimited) as limited:
        open_scripted(server)
    assert limited.value.reply == said


def test_a_login_without_a_password_is_one() -> None:
    script = [turn((f"USER {scripted.USER}", "230 come in")), LOGIN[2]]
    with ScriptedServer(script) as server, scripted_session(server) as session:
        assert "SIZE" in session.profile.features


def test_a_server_without_feat_is_used_with_what_every_server_has() -> None:
    script = [
        LOGIN[0],
        LOGIN[1],
        turn(("TYPE I", "200"), ("FEAT", "500 what?"), ("OPTS UTF8 ON", "501 no")),
    ]
    with ScriptedServer(script) as server, scripted_session(server) as session:
        assert session.profile.features == frozenset()
        assert session.profile.time_verb is None


def test_a_server_that_refuses_tls_is_quoted() -> None:
    with (
        ScriptedServer([turn(("AUTH TLS", "534 not today"))]) as server,
        pytest.raises(TlsFailed, match="refuses TLS") as failed,
    ):
        open_scripted(server, security="explicit")
    assert failed.value.reply == "534 not today"


def test_a_server_that_agrees_to_tls_and_then_sends_something_else_fails_the_handshake() -> None:
    # Plain text where a handshake must come: also what an injected reply would look like.
    script = [turn(("AUTH TLS", "234 go", Raw(b"220 in plain, after all\r\n"), HANG_UP))]
    with ScriptedServer(script) as server, pytest.raises((TlsFailed, SessionLost)):
        open_scripted(server, security="explicit")


def test_a_421_in_a_burst_ends_the_session() -> None:
    script = [*LOGIN, turn(("NOOP", "200"), ("NOOP", "421 Session Timeout (3600 seconds)"))]
    with ScriptedServer(script) as server, scripted_session(server) as session:
        with pytest.raises(SessionLost) as lost:
            session.burst(["NOOP", "NOOP"])
        assert session.lost
    assert lost.value.reply == "421 Session Timeout (3600 seconds)"


@pytest.mark.parametrize("answer", [HANG_UP, Raw(b"200 half a rep")])
def test_a_server_that_hangs_up_ends_the_session(answer: scripted.Action) -> None:
    with (
        ScriptedServer([*LOGIN, turn(("NOOP", answer, HANG_UP))]) as server,
        scripted_session(server) as session,
    ):
        with pytest.raises(SessionLost):
            session.burst(["NOOP"])
        assert session.lost


def test_a_reply_that_does_not_come_ends_the_session_after_its_deadline() -> None:
    with ScriptedServer([*LOGIN, turn(("NOOP",))]) as server:
        session = Session(scripted_endpoint(server, deadlines=Deadlines(3, 0.2, 3)))
        session.open(scripted.USER, Secret(scripted.PASSWORD))
        with pytest.raises(SessionLost, match="timed out"):
            session.burst(["NOOP"])
        assert session.lost
        session.leave()


@pytest.mark.parametrize(
    "answer",
    [
        Endless(b"200-and so on\r\n"),
        Endless(b"200 no line end "),
        Raw(b"\x00\xff\xfe garbage\r\n"),
        Raw(b"2x0 what\r\n"),
        Raw(b"\r\n"),
    ],
    ids=["endless lines", "endless line", "bytes", "no code", "empty"],
)
def test_a_reply_that_is_none_ends_the_session(answer: scripted.Action) -> None:
    with (
        ScriptedServer([*LOGIN, turn(("NOOP", answer))]) as server,
        scripted_session(server) as session,
    ):
        with pytest.raises(SessionLost):
            session.burst(["NOOP"])
        assert session.lost


def test_a_host_name_that_does_not_resolve_is_unknown() -> None:
    with pytest.raises(HostUnknown, match=r"nowhere\.invalid") as unknown:
        refused_login(Endpoint("nowhere.invalid"))
    assert "ftp.host" in unknown.value.next_step


def test_a_closed_port_is_unreachable() -> None:
    with ScriptedServer([], greeting=HANG_UP) as server:
        endpoint = scripted_endpoint(server)
        with pytest.raises(SessionLost, match="closed the control connection"):
            refused_login(endpoint)
    with pytest.raises(HostUnreachable, match="Connection refused") as unreachable:
        refused_login(endpoint)
    assert "ftp.port" in unreachable.value.next_step


def test_no_more_is_under_way_than_every_server_takes() -> None:
    """Each turn of the script must arrive whole before it is answered, and nothing behind it."""
    by_count = [f"NOOP {n}" for n in range(2 * BURST_COMMANDS + 1)]
    long = "x" * (CAREFUL_BYTES // 2 - 7)  # with NOOP, the space and the line's end, just two
    by_bytes = [f"NOOP {long}"] * 5
    script = [
        *LOGIN,
        *_turns(by_count, BURST_COMMANDS),
        *_turns(by_bytes, 2),
    ]
    with ScriptedServer(script) as server, scripted_session(server) as session:
        assert len(session.burst(by_count)) == len(by_count)
        assert len(session.burst(by_bytes)) == len(by_bytes)


def _turns(commands: list[str], size: int) -> list[scripted.Turn]:
    return [
        turn(*((command, "200 yes") for command in commands[start : start + size]))
        for start in range(0, len(commands), size)
    ]


@pytest.mark.parametrize("name", ["a\r\nDELE b", "a\nb", "a\rb", "a\0b"])
def test_a_name_that_would_be_two_commands_is_refused_before_anything_is_sent(name: str) -> None:
    with (
        ScriptedServer([*LOGIN, turn(("NOOP", "200 still here"))]) as server,
        scripted_session(server) as session,
    ):
        with pytest.raises(PathRefused):
            session.burst(["MKD fine", f"MKD {name}", "MKD fine"])
        # The script would fail if anything but this arrived.
        assert session.command("NOOP", "saying nothing").code == 200


def test_a_name_that_the_encoding_cannot_carry_is_refused_before_anything_is_sent() -> None:
    script = [LOGIN[0], LOGIN[1], turn(("TYPE I", "200"), ("FEAT", "500 what?"))]
    with ScriptedServer(script) as server:
        session = Session(scripted_endpoint(server, encoding="latin-1"))
        session.open(scripted.USER, Secret(scripted.PASSWORD))
        with pytest.raises(PathRefused, match="latin-1"):
            session.burst(["MKD fine", "MKD 日本"])
        session.leave()
