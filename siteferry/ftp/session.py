"""One logged-in control connection: commands in bursts, replies, passive data connections."""

from __future__ import annotations

import ftplib  # the base class of the session; everything else of it stays unused
import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from io import BufferedReader

from siteferry.errors import (
    HostUnknown,
    HostUnreachable,
    NotAnFtpServer,
    PathRefused,
    SessionLost,
    SiteferryError,
    TlsFailed,
)
from siteferry.ftp.bursts import windows
from siteferry.ftp.endpoint import Endpoint
from siteferry.ftp.login import log_in, prepare
from siteferry.ftp.profile import ServerProfile
from siteferry.ftp.replies import Reply, error_for, login_error, parse_reply, told_port
from siteferry.ftp.sockets import cork, quick_ack
from siteferry.ftp.tls import (
    can_read,
    check_fingerprint,
    make_context,
    shake_hands,
    wrap_control,
)
from siteferry.log import get_logger
from siteferry.secret import Secret

_LONGEST_LINE_BYTES = 8192
_MOST_REPLY_LINES = 1000

_log = get_logger(__name__)


class Session(ftplib.FTP_TLS):
    """A control connection to `endpoint`, plain or TLS.

    A session is used by one thread at a time. After any SessionLost it is suspect and `lost` is
    true: it must be closed, never used again. Replies that refuse are returned, not raised, by
    `burst`; `command` raises for them.
    """

    def __init__(self, endpoint: Endpoint, profile: ServerProfile | None = None) -> None:
        # ftplib's own context would be unverified; ours is made per endpoint.
        super().__init__(context=make_context(endpoint), timeout=endpoint.deadlines.control_seconds)
        self.endpoint = endpoint
        self.profile = profile or ServerProfile()
        self.lost = False
        self.encrypted = False
        self.data_connections = 0
        self.data_sessions_reused = 0
        self.on_activity: Callable[[], None] = _nothing
        """Called at each reply and each chunk of data: the sign of life that heartbeats rest on."""
        self.prepared: set[str] = set()
        """Runs whose staging directory is there, as far as this session knows."""
        self._reader: BufferedReader | None = None
        self._peer = ""

    # -- connecting ------------------------------------------------------------------------------

    def open(self, username: str, password: Secret) -> None:
        """Connect, secure the connection as the endpoint asks, log in and learn the features.

        Raises:
            HostUnknown, HostUnreachable, NotAnFtpServer, TlsFailed, ConnectionLimited,
            LoginRefused, SessionLost.
        """
        try:
            self._connect()
            self._secure()
            log_in(self, username, password)
            prepare(self)
        except BaseException:
            self.drop()
            raise

    def _connect(self) -> None:
        host, port = self.endpoint.host, self.endpoint.port
        try:
            sock = socket.create_connection(
                (host, port), timeout=self.endpoint.deadlines.connect_seconds
            )
        except socket.gaierror as error:
            raise HostUnknown(
                f"the host name {host} does not resolve: {error.strerror}",
                next_step="Correct ftp.host of the website, or the machine's DNS.",
            ) from error
        except OSError as error:
            raise HostUnreachable(
                f"nothing answers at {host}:{port}: {error.strerror or error}",
                next_step="Check ftp.host and ftp.port, and that no firewall stands between.",
            ) from error
        sock.settimeout(self.endpoint.deadlines.control_seconds)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._peer = sock.getpeername()[0]
        self.af = sock.family
        self._adopt(sock)
        if self.endpoint.security == "implicit":
            self._encrypt()
        greeting = self._greeting()
        if not greeting.ok:
            raise login_error(greeting)
        self.welcome = greeting.text

    def _greeting(self) -> Reply:
        try:
            return self.read_reply()
        except SessionLost as error:
            said = error.reply or ""
            if said.startswith("SSH-"):
                raise NotAnFtpServer(
                    f"{self.endpoint} is an SSH/SFTP server, not FTP",
                    reply=said,
                    next_step="Use the FTP port of the host, usually 21.",
                ) from error
            if said:
                raise NotAnFtpServer(f"{self.endpoint} does not speak FTP", reply=said) from error
            raise

    def _adopt(self, sock: socket.socket) -> None:
        self.sock = sock
        self._reader = sock.makefile("rb")

    def _secure(self) -> None:
        security = self.endpoint.security
        if security in ("none", "implicit"):
            return
        reply = self.burst(["AUTH TLS"])[0]
        if not reply.ok:
            if security == "auto":
                _log.warning(
                    "the server offers no TLS: user name, password and files go in plain text",
                    host=self.endpoint.host,
                    reply=reply.text,
                )
                return
            raise TlsFailed(
                f"{self.endpoint} refuses TLS",
                reply=reply.text,
                next_step="If the host really has none, write ftp.security: none.",
            )
        self._encrypt()

    def _encrypt(self) -> None:
        if self.sock is not None:
            self._adopt(wrap_control(self.sock, self.context, self.endpoint))
            self.encrypted = True

    # -- commands and replies --------------------------------------------------------------------

    def burst(self, commands: Sequence[str]) -> list[Reply]:
        """Send `commands` and read as many final replies, with few round trips.

        At most BURST_COMMANDS or BURST_BYTES are under way at a time: a client that writes without
        reading can lock up against a server that does the same. Nothing may be behind a running
        transfer (Pure-FTPd and ProFTPD refuse that).

        Raises:
            PathRefused: a command holds CR, LF or NUL, or cannot be encoded; nothing was sent.
            SessionLost: the connection broke, or the server ended the session (421).
        """
        lines = [self.encode(command) for command in commands]
        replies: list[Reply] = []
        for start, stop in windows(lines):
            self.write_lines(lines[start:stop])
            for _ in range(start, stop):
                reply = self.read_reply()
                if reply.code == 421:
                    self.lost = True
                    raise SessionLost("the server ended the session", reply=reply.text)
                replies.append(reply)
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
            return command.encode(self.encoding) + b"\r\n"
        except UnicodeEncodeError as error:
            raise PathRefused(
                f"a name cannot be written in the server's encoding {self.encoding}"
            ) from error

    def write_lines(self, lines: Sequence[bytes]) -> None:
        """Write command lines so that they leave together; under TLS each is a record of its own.

        Pure-FTPd waits with poll() and does not see a second command that OpenSSL has already read
        with the first one; corking lets the separate records share a segment all the same.
        """
        sock = self.sock
        try:
            if sock is None:
                raise SessionLost("the session is closed")
            if not self.encrypted or len(lines) == 1:
                sock.sendall(b"".join(lines))
                return
            cork(sock, True)
            for line in lines:
                sock.sendall(line)
            cork(sock, False)
        except OSError as error:
            self.lost = True
            raise SessionLost(f"the control connection broke: {error}") from error

    def read_reply(self) -> Reply:
        """Read one reply, preliminary or final (RFC 959, section 4.2), of bounded size.

        Raises:
            SessionLost: no complete reply came; the session is suspect.
        """
        try:
            first = self._read_line()
            # The code is looked at first: "SSH-2.0-..." is not the first line of many.
            reply = parse_reply((first,))
            if first[3:4] == "-":
                reply = parse_reply((first, *self._rest_of_reply(first[:3] + " ")))
        except OSError as error:
            self.lost = True
            raise SessionLost(f"the control connection broke: {error}") from error
        except SessionLost:
            self.lost = True
            raise
        self.on_activity()
        return reply

    def _rest_of_reply(self, last: str) -> list[str]:
        lines: list[str] = []
        while not lines or not lines[-1].startswith(last):
            lines.append(self._read_line())
            _check_length(lines)
        return lines

    def _read_line(self) -> str:
        if self._reader is None or self.sock is None:
            raise SessionLost("the session is closed")
        quick_ack(self.sock)
        raw = self._reader.readline(_LONGEST_LINE_BYTES + 1)
        if not raw:
            raise SessionLost("the server closed the control connection")
        if len(raw) > _LONGEST_LINE_BYTES:
            raise SessionLost("the server sent a reply line that is too long")
        if not raw.endswith(b"\n"):
            raise SessionLost("the server hung up in the middle of a reply", reply=repr(raw))
        return raw.rstrip(b"\r\n").decode(self.encoding, "backslashreplace")

    # -- ftplib's own reading and writing, for ftputil on top -------------------------------------

    def getline(self) -> str:
        """Give ftplib its lines through our reader, so that both may be used on one session."""
        return self._read_line()

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
        return "EPSV" if self.profile.epsv else "PASV"

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
        """Connect to the control connection's peer. OSError is left to the caller, who knows
        whether the server's next reply explains it."""
        conn = socket.socket(self.af, socket.SOCK_STREAM)
        if isinstance(self.sock, ssl.SSLSocket):
            # Before the connect: wrapping what the server has reset meanwhile loses the socket
            # unclosed (CPython 3.11).
            conn = self.context.wrap_socket(
                conn,
                server_hostname=self.endpoint.host,
                session=self.sock.session,
                do_handshake_on_connect=False,
            )
        conn.settimeout(self.endpoint.deadlines.connect_seconds)
        try:
            conn.connect((self._peer, port))
        except OSError:
            conn.close()
            raise
        conn.settimeout(self.endpoint.deadlines.data_seconds)
        self.data_connections += 1
        return conn

    def reply_waits(self) -> bool:
        """Under TLS: whether a reply, or the connection's end, can be read without waiting."""
        if self._reader is None or not isinstance(self.sock, ssl.SSLSocket):
            return True
        return can_read(self.sock, self._reader)

    def secure_data(
        self, conn: socket.socket, listening: Callable[[], bool] | None = None
    ) -> socket.socket:
        """Under TLS, shake hands resuming the control connection's session (servers demand it).

        Only after STOR or RETR has been sent: ProFTPD and Pure-FTPd lock up otherwise.

        Args:
            listening: see `shake_hands`; None where the transfer has been accepted already.
        """
        if isinstance(conn, ssl.SSLSocket) and isinstance(self.sock, ssl.SSLSocket):
            shake_hands(conn, self.sock, listening)
            if conn.session_reused:
                self.data_sessions_reused += 1
            else:
                check_fingerprint(conn, self.endpoint)
        return conn

    # -- ending ----------------------------------------------------------------------------------

    def leave(self) -> None:
        """Say QUIT and close, without waiting for the answer; errors do not matter any more."""
        if not self.lost:
            with suppress(SiteferryError):
                self.write_lines([b"QUIT\r\n"])
        self.drop()

    def drop(self) -> None:
        """Close at once."""
        self.lost = True
        reader, self._reader = self._reader, None
        for closable in (reader, self.sock):
            if closable is not None:
                with suppress(OSError):
                    closable.close()
        self.sock = None


def _check_length(lines: Sequence[str]) -> None:
    if len(lines) > _MOST_REPLY_LINES:
        raise SessionLost("the server sent a reply without an end")


def _nothing() -> None:
    """The default sign of life: nobody listens."""
