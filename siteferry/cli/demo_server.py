"""A local FTPS server for `siteferry demo`: pyftpdlib, one user, a certificate of its own."""

from __future__ import annotations

import datetime as dt
import ipaddress
import sys
from pathlib import Path

from siteferry.errors import ConfigurationError


def write_certificate(folder: Path) -> tuple[Path, Path]:
    """Make a self-signed certificate for 127.0.0.1; gives the files of certificate and key.

    Raises:
        ConfigurationError: the extra `demo` is not installed.
    """
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import NameOID
    except ImportError as error:
        raise ConfigurationError(
            "the demo needs packages that are not installed",
            next_step="Install them with: pip install 'siteferry[demo]'",
        ) from error
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "siteferry demo")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / "demo.crt", folder / "demo.key"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.touch(mode=0o600)
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return certificate_file, key_file


def serve(root: str, certificate: str, key: str, user: str) -> None:
    """Serve `root` until killed; the password is the first line of standard input, and the port is
    printed on a line of its own."""
    from pyftpdlib.authorizers import DummyAuthorizer
    from pyftpdlib.handlers import TLS_FTPHandler
    from pyftpdlib.servers import FTPServer

    authorizer = DummyAuthorizer()
    authorizer.add_user(user, sys.stdin.readline().rstrip("\n"), root, perm="elradfmwMT")

    class Handler(TLS_FTPHandler):  # type: ignore[misc]
        certfile = certificate
        keyfile = key
        tls_control_required = True
        tls_data_required = True
        banner = "siteferry demo server"

    Handler.authorizer = authorizer
    # Not ThreadedFTPServer: its CWD (2.2.0) changes the whole process' directory for a moment; two
    # at a time may leave it in one that is removed later, and then every CWD ends its session.
    server = FTPServer(("127.0.0.1", 0), Handler)
    print(server.address[1], flush=True)  # noqa: T201  # its caller reads the port
    server.serve_forever()


if __name__ == "__main__":
    serve(*sys.argv[1:])
