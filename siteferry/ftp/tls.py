"""TLS for control and data connections: trust, session reuse, and a shutdown that does not wait."""

from __future__ import annotations

import hashlib
import hmac
import select
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress

from siteferry.errors import SessionLost, TlsFailed
from siteferry.ftp.endpoint import Endpoint
from siteferry.ftp.profile import TlsVersion

_VERSIONS: dict[TlsVersion, ssl.TLSVersion] = {
    "1.2": ssl.TLSVersion.TLSv1_2,
    "1.3": ssl.TLSVersion.TLSv1_3,
}


class VersionRefused(TlsFailed):
    """The handshake failed for another reason than the certificate: perhaps for the version."""


def make_context(endpoint: Endpoint, version: TlsVersion) -> ssl.SSLContext:
    """The one context of a session; data connections resume its sessions, so they share it.

    Args:
        version: the only one that is spoken (docs/decisions/0006).

    Raises:
        TlsFailed: the CA file cannot be read.
    """
    try:
        context = ssl.create_default_context(
            cafile=str(endpoint.ca_file) if endpoint.ca_file else None
        )
    except OSError as error:
        raise TlsFailed(
            f"the CA file {endpoint.ca_file} cannot be read: {error.strerror or error}",
            next_step="Correct ftp.ca_file of the website.",
        ) from error
    context.minimum_version = context.maximum_version = _VERSIONS[version]
    if version == "1.3":
        # vsftpd and Pure-FTPd want this curve, and ask for it with a HelloRetryRequest, a round
        # trip for each file. Every server of TLS 1.3 must have it (RFC 8446, section 9.1).
        context.set_ecdh_curve("prime256v1")
    if endpoint.fingerprint or not endpoint.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def wrap_control(sock: socket.socket, context: ssl.SSLContext, endpoint: Endpoint) -> ssl.SSLSocket:
    """Shake hands on the control connection and check who answers.

    Raises:
        TlsFailed: the certificate is not trusted, or the pinned fingerprint differs.
        VersionRefused: the two do not come to terms.
        SessionLost: the connection broke in the handshake.
    """
    try:
        wrapped = context.wrap_socket(sock, server_hostname=endpoint.host)
    except ssl.SSLCertVerificationError as error:
        raise TlsFailed(
            f"the certificate of {endpoint} is not trusted: {error.verify_message}",
            next_step="Check the host name, set ftp.ca_file (--ca-file), or pin it with "
            "ftp.fingerprint (--fingerprint).",
        ) from error
    except ssl.SSLEOFError as error:
        raise SessionLost(f"the TLS handshake with {endpoint} broke off") from error
    except ssl.SSLError as error:
        raise VersionRefused(f"the TLS handshake with {endpoint} failed: {error.reason}") from error
    except OSError as error:
        raise SessionLost(f"the TLS handshake with {endpoint} broke off: {error}") from error
    check_fingerprint(wrapped, endpoint)
    return wrapped


def shake_hands(
    data: ssl.SSLSocket, control: ssl.SSLSocket, listening: Callable[[], bool] | None
) -> None:
    """Shake hands on a connected data socket, and listen to the control connection meanwhile.

    vsftpd and Pure-FTPd leave the data connection of a transfer that they refuse without an answer;
    ProFTPD accepts a transfer only after the handshake. So either may speak first.

    Args:
        listening: called while the peer is silent; looks whether a reply has come on `control`, and
            tells whether to go on listening there, or raises if there will be no transfer.

    Raises:
        OSError: the handshake failed, or nobody spoke for the data socket's own time limit.
    """
    seconds = data.gettimeout() or 0
    data.settimeout(0)
    while True:
        poll = select.poll()
        try:
            data.do_handshake()
            break
        except ssl.SSLWantReadError:
            poll.register(data, select.POLLIN)
        except ssl.SSLWantWriteError:
            poll.register(data, select.POLLOUT)
        if listening and listening():
            poll.register(control, select.POLLIN)
        if not poll.poll(seconds * 1000):
            raise TimeoutError("timed out")
    data.settimeout(seconds)


def check_fingerprint(sock: ssl.SSLSocket, endpoint: Endpoint) -> None:
    """Compare the peer's certificate with the pinned one; nothing to do where none is pinned."""
    if not endpoint.fingerprint:
        return
    seen = hashlib.sha256(sock.getpeercert(binary_form=True) or b"").hexdigest()
    pinned = endpoint.fingerprint.lower().removeprefix("sha256:").replace(":", "")
    if not hmac.compare_digest(seen, pinned):
        sock.close()
        raise TlsFailed(
            f"{endpoint} shows another certificate than the pinned one",
            next_step=f"If the host renewed it, set ftp.fingerprint to sha256:{seen}.",
        )


def send_close_notify(sock: ssl.SSLSocket) -> None:
    """Say that no more data follows, without waiting for the peer's answer (a round trip saved).

    The caller closes the socket only after the final reply: closing earlier, with the server's
    session tickets unread, would reset the connection and could lose the end of the file.
    """
    sock.settimeout(0)
    # A non-blocking unwrap() writes close_notify and then reports that it would have to wait for
    # the peer's, or that the peer (IIS does it) has closed without one.
    with suppress(ssl.SSLError, OSError):
        sock.unwrap()
    with suppress(OSError):
        sock.shutdown(socket.SHUT_WR)
