"""The FTP server of the profile `demo`: pyftpdlib, one user, and the example website for it.

python ftp_server.py PORT ROOT PASSWORD_FILE SOURCE
"""

from __future__ import annotations

import logging
import signal
import sys
from pathlib import Path

from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import FTPServer

from siteferry.cli.demo_website import write_website

MAY_DO_ALL = "elradfmwMT"


def write_example(source: Path) -> None:
    """Where SITEFERRY_WORKSPACES names somebody's own folder, it may be closed to this user."""
    try:
        if not any(source.glob("*")):
            write_website(source)
    except OSError as error:
        logging.warning("there is no example website in %s: %s", source, error.strerror)


def main(port: str, root: str, password_file: str, source: str) -> None:
    """Serve `root` until told to stop; write the example website into `source` if it is empty."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    # A container's first process ignores SIGTERM otherwise; the server ends in order at SystemExit.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    write_example(Path(source))
    users = DummyAuthorizer()
    password = Path(password_file).read_text().strip()
    users.add_user("demo", password, root, perm=MAY_DO_ALL)
    FTPHandler.authorizer = users
    FTPHandler.banner = "siteferry demo server"
    FTPServer(("0.0.0.0", int(port)), FTPHandler).serve_forever()  # noqa: S104  # a container's


if __name__ == "__main__":
    main(*sys.argv[1:])
