"""TLS for control and data connections: trust, session reuse, and a shutdown that does not wait."""

from __future__ import annotations

import hashlib
import hmac
import socket
import ssl
from contextlib import suppress

from siteferry.errors import SessionLost, TlsFailed
from siteferry.ftp.endpoint import Endpoint


def make_context(endpoint: Endpoint) -> ssl.SSLContext:
    """The one context of a session; data connections resume its sessions, so they share it.

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
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if endpoint.fingerprint or not endpoint.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def wrap_control(sock: socket.socket, context: ssl.SSLContext, endpoint: Endpoint) -> ssl.SSLSocket:
    """Shake hands on the control connection and check who answers.

    Raises:
        TlsFailed: the certificate is not trusted, or the pinned fingerprint differs.
        SessionLost: the connection broke in the handshake.
    """
    try:
        wrapped = context.wrap_socket(sock, server_hostname=endpoint.host)
    except ssl.SSLCertVerificationError as error:
        raise TlsFailed(
            f"the certificate of {endpoint} is not trusted: {error.verify_message}",
            next_step="Check the host name, set ftp.ca_file, or pin it with ftp.fingerprint.",
        ) from error
    except ssl.SSLError as error:
        raise TlsFailed(f"the TLS handshake with {endpoint} failed: {error.reason}") from error
    except OSError as error:
        raise SessionLost(f"the TLS handshake with {endpoint} broke off: {error}") from error
    check_fingerprint(wrapped, endpoint)
    return wrapped


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
