"""The real servers of the tests, on loopback or at the far end of a delayed link."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.latency import DelayedLink
from benchmarks.outcome import MeasurementFailed
from tests.servers.base import FtpServer
from tests.servers.binaries import Binary
from tests.servers.certificate import make_certificate
from tests.servers.proftpd import ProFtpd
from tests.servers.pureftpd import PureFtpd
from tests.servers.vsftpd import Vsftpd

SERVERS: dict[str, type[FtpServer]] = {
    "vsftpd": Vsftpd,
    "pureftpd": PureFtpd,
    "proftpd": ProFtpd,
}


SERVER_NAMES = {"vsftpd": "vsftpd", "pureftpd": "Pure-FTPd", "proftpd": "ProFTPD"}

# As many as real hosts have: of a hundred, two sessions often choose the same one at the same time.
_PASSIVE_PORTS = (10_000, 11_999)


@contextmanager
def running(
    name: str,
    *,
    tls: bool,
    link: DelayedLink | None,
    before: Callable[[FtpServer], None] | None = None,
) -> Iterator[FtpServer]:
    """A server from the beginning of the block to its end.

    Args:
        name: one of SERVERS.
        tls: explicit FTPS, with the session reuse that this server asks for. The certificate is
            pinned by its fingerprint, for it does not name the link's address.
        link: where the server stands; None: on loopback.
        before: called with the server before it is started.

    Raises:
        MeasurementFailed: the server is not there.
    """
    server_class = SERVERS[name]
    if reason := server_class.missing():
        raise MeasurementFailed(reason)
    with ExitStack() as stack:
        options: dict[str, Any] = {}
        if tls:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="siteferry-")))
            # Pure-FTPd reads it after it has changed its user.
            folder.chmod(0o755)
            options = {"tls": True, "certificate": make_certificate(folder)}
        server = _placed(server_class, link)(**options)
        if before is not None:
            before(server)
        stack.enter_context(server)
        server.certificate = None
        yield server


def _placed(server_class: type[FtpServer], link: DelayedLink | None) -> type[FtpServer]:
    class Placed(server_class):  # type: ignore[misc, valid-type]
        """The same, started in the link's namespace: files and logs are ours as before."""

        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self._ports.passive_first, self._ports.passive_last = _PASSIVE_PORTS
            if link is not None:
                self.host = link.address

        def command(self, binary: Binary) -> list[str]:
            command = super().command(binary)
            return link.inside(command) if link else command

    return Placed
