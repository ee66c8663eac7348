"""One logged-in control connection: commands in bursts, replies, passive data connections."""

from __future__ import annotations

import ftplib  # the base class of the session; everything else of it stays unused
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Literal

from siteferry.errors import (
    PathRefused,
    SessionLost,
    SiteferryError,
    TlsFailed,
)
from siteferry.ftp.bursts import windows
from siteferry.ftp.control import ControlChannel
from siteferry.ftp.dial import data_address, dial
from siteferry.ftp.endpoint import Endpoint
from siteferry.ftp.login import log_in, prepare, read_greeting
from siteferry.ftp.profile import ServerProfile, TlsResult, TlsVersion
from siteferry.ftp.replies import Reply, error_for, login_error, told_port
from siteferry.ftp.sockets import set_deadline, told, too_long
from siteferry.ftp.tls import (
    VersionRefused,
    check_fingerprint,
    make_context,
    shake_hands,
    wrap_control,
)
from siteferry.log import get_logger
from siteferry.secret import Secret

_UNPROVEN_SECONDS = 5.0
"""Deadline of a data connection while EPSV has never worked: old firewalls do not understand it,
and drop what it announces."""

_log = get_logger(__name__)


class Session(ftplib.FTP_TLS):
    """A control connection to `endpoint`, plain or TLS.

    A session is used by one thread at a time. After any SessionLost it is suspect and `lost` is
    true: it must be closed, never used again. Replies that refuse are returned, not raised, by
    `burst`; `command` raises for them.
    """

    def __init__(self, endpoint: Endpoint, profile: ServerProfile | None = None) -> None:
        self.endpoint = endpoint
        self.profile = profile or ServerProfile(learned=time.time())
        self._version: TlsVersion = self.profile.tls_version
        # ftplib's own context would be unverified; ours is made per endpoint.
        context = make_context(endpoint, self._version)
        super().__init__(context=context, timeout=endpoint.deadlines.control_seconds)
        self.lost = False
        self.data_connections = 0
        self.data_sessions_reused = 0
        self.on_activity: Callable[[], None] = _nothing
        """Called at each reply and each chunk of data: the sign of life that heartbeats rest on."""
        self.guard: Callable[[Sequence[bytes]], None] = _nothing
        """Called with all lines before any is written; what it raises keeps them back."""
        self.prepared: set[str] = set()
        """Runs whose staging directory is there, as far as this session knows."""
        self._channel: ControlChannel | None = None
        self._resumable: ssl.SSLSession | None = None

    @property
    def encrypted(self) -> bool:
        return self._channel is not None and self._channel.encrypted

    # -- connecting ------------------------------------------------------------------------------

    def open(self, username: str, password: Secret) -> None:
        """Connect, secure the connection as the endpoint asks, log in and learn the features.

        Raises:
            HostUnknown, HostUnreachable, NotAnFtpServer, TlsFailed, ConnectionLimited,
            LoginRefused, SessionLost.
        """
        try:
            try:
                self._connect()
            except VersionRefused:
                if not self._changes_version():
                    raise
                self._connect()
            log_in(self, username, password)
            prepare(self)
        except BaseException:
            self.drop()
            raise

    def _connect(self) -> None:
        """Up to where the login may be said: connected, greeted, encrypted."""
        sock = dial(self.endpoint)
        self.af = sock.family
        self._adopt(sock)
        if self.endpoint.security == "implicit":
            self._encrypt()
        greeting = read_greeting(self)
        if not greeting.ok:
            raise login_error(greeting)
        self.welcome = greeting.text
        if self.endpoint.security in ("explicit", "auto"):
            self._ask_for_tls()

    def _changes_version(self) -> bool:
        """After a handshake that failed: whether the other version of TLS is worth a try."""
        profile, refused = self.profile, self._version
        profile.learn_tls(refused, "refused")
        self._version = profile.tls_version
        if profile.tls.get(self._version) == "refused":
            # Neither: then it was not for the version, and nothing has been learned.
            profile.tls = {}
            return False
        self._hang_up()
        self.context = make_context(self.endpoint, self._version)
        return True

    def _adopt(self, sock: socket.socket) -> None:
        self._channel = ControlChannel(sock)
        self.sock = sock

    def _ask_for_tls(self) -> None:
        reply = self.burst(["AUTH TLS"])[0]
        if reply.ok:
            self._encrypt()
        elif self.endpoint.security == "auto":
            _log.warning(
                "the server offers no TLS: user name, password and files go in plain text",
                host=self.endpoint.host,
                reply=reply.text,
            )
        else:
            raise TlsFailed(
                f"{self.endpoint} refuses TLS",
                reply=reply.text,
                next_step="If the host really has none, write ftp.security: none.",
            )

    def _encrypt(self) -> None:
        if self.sock is not None:
            # OpenSSL needs Python's deadlines (see `set_deadline`).
            self.sock.settimeout(self.endpoint.deadlines.control_seconds)
            self._adopt(wrap_control(self.sock, self.context, self.endpoint))

    # -- commands and replies --------------------------------------------------------------------

    def burst(self, commands: Sequence[str]) -> list[Reply]:
        """Send `commands` and read as many final replies, with few round trips.

        A bounded number is under way at a time (`siteferry.ftp.bursts`): a client that writes
        without reading can lock up against a server that does the same. Nothing may be behind a
        running transfer (Pure-FTPd and ProFTPD refuse that).

        Raises:
            PathRefused: a command holds CR, LF or NUL, or cannot be encoded; nothing was sent.
            SessionLost: the connection broke, or the server ended the session (421).
        """
        lines = [self.encode(command) for command in commands]
        self.guard(lines)
        replies: list[Reply] = []
        for window in windows(lines, self.profile.allowance(encrypted=self.encrypted)):
            self.write_lines(window)
            replies.extend(self.read_answer() for _ in window)
        return replies

    def command(self, command: str, doing: str) -> Reply:
        """Send one command; raise what its refusal means, told as "`doing` was refused"."""
        reply = self.burst([command])[0]
        if not reply.ok:
            raise error_for(reply, doing)
        return reply

    def encode(self, command: str) -> bytes:
        """The line of one command, checked to be one line."""
        if "\r" in command or "\n" in command or "\0" in command:
            raise PathRefused("a name holds a line break or a NUL, which FTP cannot carry")
        try:
            # Surrogates are bytes of names that a listing has told in another encoding (PEP 383).
            return command.encode(self.encoding, "surrogateescape") + b"\r\n"
        except UnicodeEncodeError as error:
            raise PathRefused(
                f"a name cannot be written in the server's encoding {self.encoding}"
            ) from error

    def write_lines(self, lines: Sequence[bytes]) -> None:
        """Write command lines so that they leave together; SessionLost: the connection broke."""
        if self.lost:
            raise SessionLost("the session is suspect, and is not used any more")
        self.guard(lines)
        try:
            self._open_channel().write(lines)
        except OSError as error:
            self.lost = True
            raise SessionLost(f"the control connection broke: {told(error)}") from error

    def read_reply(self) -> Reply:
        """Read one reply, preliminary or final (RFC 959, section 4.2), of bounded size.

        Raises:
            SessionLost: no complete reply came; the session is suspect.
        """
        try:
            reply = self._open_channel().read_reply(self.encoding)
        except OSError as error:
            self.lost = True
            raise SessionLost(f"the control connection broke: {told(error)}") from error
        except SessionLost:
            self.lost = True
            raise
        self.on_activity()
        return reply

    def read_answer(self) -> Reply:
        """Read one reply; a 421, which the server may say at any time, is the session's end."""
        reply = self.read_reply()
        if reply.code == 421:
            self.lost = True
            raise SessionLost("the server ended the session", reply=reply.text)
        return reply

    def mind_acknowledgements(self) -> None:
        """Once the server is known: acknowledge its replies at once only where it waits for it."""
        self._open_channel().acknowledges_at_once = self.profile.holds_replies_back

    def _open_channel(self) -> ControlChannel:
        if self._channel is None:
            raise SessionLost("the session is closed")
        return self._channel

    # -- ftplib's own reading and writing, for ftputil on top -------------------------------------

    def getline(self) -> str:
        """Give ftplib its lines through our reader, so that both may be used on one session."""
        return self._open_channel().read_line(self.encoding)

    def putline(self, line: str) -> None:
        """Send a line for ftplib."""
        self.write_lines([self.encode(line)])

    def ntransfercmd(
        self, cmd: str, rest: int | str | None = None
    ) -> tuple[socket.socket, int | None]:
        """Open a data connection for ftplib's callers with our passive mode and TLS reuse."""
        if rest is not None:
            self.command(f"REST {rest}", "setting the restart point")
        port = self.passive_port(self.burst([self.passive_verb()])[0])
        self.write_lines([self.encode(cmd)])
        conn = self.connect_data(port)
        try:
            reply = self.read_reply()
            if reply.preliminary:
                return self.secure_data(conn), None
        except BaseException:
            conn.close()
            raise
        conn.close()
        # ftplib's callers (ftputil among them) tell errors apart by ftplib's classes.
        raise (ftplib.error_perm if reply.code >= 500 else ftplib.error_temp)(reply.text)

    # -- data connections ------------------------------------------------------------------------

    def passive_verb(self) -> str:
        """EPSV (RFC 2428), or PASV where that is known not to work; IPv6 has no PASV."""
        return "EPSV" if self.profile.epsv or self.af == socket.AF_INET6 else "PASV"

    def passive_port(self, reply: Reply) -> int:
        """The port in a 229 (RFC 2428) or 227 reply. Its address, if any, is ignored: behind NAT
        servers tell private ones, and the data connection goes to the control connection's peer.

        Raises:
            ReplyError: the server opens no passive connection.
            SessionLost: the reply tells no port, so what the server does next is unknown.
        """
        if reply.code >= 400:
            raise error_for(reply, "opening a passive data connection")
        port = told_port(reply)
        if port is None:
            self.lost = True
            raise SessionLost("the server tells no port for data", reply=reply.text)
        return port

    def connect_data(self, port: int) -> socket.socket:
        """Connect to the control connection's peer; OSError is for the caller to explain."""
        control = self._open_channel().sock
        conn = socket.socket(self.af, socket.SOCK_STREAM)
        if isinstance(control, ssl.SSLSocket):
            # Before the connect: wrapping what the server has reset meanwhile loses the socket
            # unclosed (CPython 3.11).
            conn = self.context.wrap_socket(
                conn,
                server_hostname=self.endpoint.host,
                session=self.session_to_resume(control),
                do_handshake_on_connect=False,
                # An end without close_notify is an error, or a part would pass for the whole.
                suppress_ragged_eofs=False,
            )
        set_deadline(conn, self._patience())
        try:
            conn.connect(data_address(control, port))
        except OSError as error:
            conn.close()
            if too_long(error) and self.passive_verb() == "EPSV" and not self.profile.epsv_proven:
                self.profile.epsv = False
            raise
        if not self.profile.epsv_proven and self.passive_verb() == "EPSV":
            self.profile.epsv_proven = True
        set_deadline(conn, self.endpoint.deadlines.data_seconds)
        self.data_connections += 1
        return conn

    def session_to_resume(self, control: ssl.SSLSocket) -> ssl.SSLSession | None:
        """The TLS session that the next data connection offers: the control connection's, under 1.3
        with the newest ticket that has come there (docs/decisions/0006). Each look at it is a copy
        in CPython, a fifth of the CPU of a small file; under 1.2 it does not change."""
        if self._version == "1.3" or self._resumable is None:
            self._resumable = control.session
        return self._resumable

    def _patience(self) -> float:
        seconds = self.endpoint.deadlines.connect_seconds
        return seconds if self.profile.epsv_proven else min(seconds, _UNPROVEN_SECONDS)

    def reply_waits(self) -> bool:
        """Whether a reply, or the connection's end, can be read without waiting."""
        return self._channel is None or self._channel.something_waits()

    def end_or_reply(self, data: socket.socket) -> Literal["end", "reply"]:
        """Wait until the server has closed `data`, or a reply is there. Raises SessionLost when
        neither comes in time, OSError when `data` was reset."""
        came = self._open_channel().end_or_reply(data, self.endpoint.deadlines.data_seconds)
        if came is None:
            self.lost = True
            raise SessionLost("the server does not end the transfer")
        return came

    def secure_data(
        self, conn: socket.socket, listening: Callable[[], bool] | None = None
    ) -> socket.socket:
        """Under TLS, shake hands resuming the control connection's session (servers demand it).

        Only after STOR or RETR has been sent: ProFTPD and Pure-FTPd lock up otherwise.

        Args:
            listening: see `shake_hands`; None where the transfer has been accepted already.
        """
        control = self._open_channel().sock
        if isinstance(conn, ssl.SSLSocket) and isinstance(control, ssl.SSLSocket):
            shake_hands(conn, control, listening)
            result: TlsResult = "resumed" if conn.session_reused else "full"
            self.profile.learn_tls(self._version, result)
            if conn.session_reused:
                self.data_sessions_reused += 1
            else:
                check_fingerprint(conn, self.endpoint)
        return conn

    # -- ending ----------------------------------------------------------------------------------

    def leave(self) -> None:
        """Say QUIT and close, without waiting for the answer."""
        self.take_leave()
        self.drop()

    def take_leave(self) -> None:
        """Say QUIT; nothing else may be said after it."""
        if not self.lost:
            with suppress(SiteferryError):
                self.write_lines([b"QUIT\r\n"])

    def await_end(self, seconds: float) -> None:
        """After `take_leave`: close when the server has closed, or after `seconds` at most. Until
        then it counts the connection."""
        if not self.lost and self._channel is not None:
            self._channel.await_end(seconds)
        self.drop()

    def drop(self) -> None:
        """Close at once."""
        self.lost = True
        self._hang_up()

    def _hang_up(self) -> None:
        channel, self._channel, self.sock = self._channel, None, None
        if channel is not None:
            channel.close()


def _nothing(*_lines: object) -> None:
    """The default sign of life and guard: nobody listens."""
