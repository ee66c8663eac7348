"""A plain client of the standard library: it checks the servers, and looks at results for tests."""

from __future__ import annotations

import contextlib
import ftplib
import io
import socket
import ssl
from collections.abc import Iterator

from tests.servers.base import FtpServer

TIMEOUT_SECONDS = 10


class ReusingFtps(ftplib.FTP_TLS):
    """Resumes the control connection's session on data connections, which ftplib does not."""

    def ntransfercmd(self, cmd: str, rest: int | str | None = None) -> tuple[socket.socket, int]:
        connection, size = ftplib.FTP.ntransfercmd(self, cmd, rest)
        return self.secured(connection), size or 0

    def secured(self, connection: socket.socket) -> ssl.SSLSocket:
        assert isinstance(self.sock, ssl.SSLSocket)
        return self.context.wrap_socket(
            connection, server_hostname=self.host, session=self.sock.session
        )


@contextlib.contextmanager
def logged_in(server: FtpServer) -> Iterator[ftplib.FTP]:
    """A session in binary mode, protected where the server speaks TLS."""
    with client(server) as ftp:
        ftp.login(server.user, server.password)
        if isinstance(ftp, ReusingFtps):
            ftp.prot_p()
        ftp.voidcmd("TYPE I")
        yield ftp


def client(server: FtpServer) -> ftplib.FTP:
    """A connection that has been greeted, and is not logged in."""
    ftp = (
        ReusingFtps(context=ssl.create_default_context(cafile=server.certificate))
        if server.tls
        else ftplib.FTP()
    )
    try:
        ftp.connect(server.host, server.port, timeout=TIMEOUT_SECONDS)
    except BaseException:
        ftp.close()
        raise
    return ftp


def store(ftp: ftplib.FTP, path: str, content: bytes) -> None:
    ftp.storbinary(f"STOR {path}", io.BytesIO(content))


def retrieve(ftp: ftplib.FTP, path: str) -> bytes:
    parts: list[bytes] = []
    ftp.retrbinary(f"RETR {path}", parts.append)
    return b"".join(parts)


def store_pipelined(ftp: ftplib.FTP, path: str, content: bytes) -> None:
    """EPSV and STOR written before the reply to either has been read."""
    assert ftp.sock is not None
    lines = [b"EPSV\r\n", f"STOR {path}\r\n".encode()]
    if isinstance(ftp, ReusingFtps):
        # Each in a TLS record of its own: Pure-FTPd does not see the second one in the first.
        for line in lines:
            ftp.sock.sendall(line)
    else:
        ftp.sock.sendall(b"".join(lines))
    _, port = ftplib.parse229(ftp.getresp(), ftp.sock.getpeername())
    data: socket.socket = socket.create_connection((ftp.host, port), timeout=TIMEOUT_SECONDS)
    if isinstance(ftp, ReusingFtps):
        data = ftp.secured(data)
    with data:
        data.sendall(content)
        if isinstance(data, ssl.SSLSocket):
            data.unwrap().close()
    assert ftp.getresp().startswith("150")
    assert ftp.getresp().startswith("226")
