"""The FTP server of the profile `demo`: pyftpdlib, one user, and the example website for it.

python ftp_server.py PORT ROOT PASSWORD_FILE SOURCE
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import FTPServer

from siteferry.cli.demo_website import write_website

MAY_DO_ALL = "elradfmwMT"


def main(port: str, root: str, password_file: str, source: str) -> None:
    """Serve `root` until told to stop; write the example website into `source` if it is empty."""
    if not any(Path(source).glob("*")):
        write_website(Path(source))
    users = DummyAuthorizer()
    password = Path(password_file).read_text().strip()
    users.add_user("demo", password, root, perm=MAY_DO_ALL)
    FTPHandler.authorizer = users
    FTPHandler.banner = "siteferry demo server"
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    FTPServer(("0.0.0.0", int(port)), FTPHandler).serve_forever()  # noqa: S104  # a container's


if __name__ == "__main__":
    main(*sys.argv[1:])
