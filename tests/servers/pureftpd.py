"""Pure-FTPd (Debian's 1.0.50), what most cPanel hosts run. Needs root.

It logs to syslog alone, so neither logins nor sessions can be counted here.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from typing import ClassVar

from tests.servers.base import PASSWORD_HASH, FtpServer, file_owner, running_as_root
from tests.servers.binaries import Binary, find_binary


class PureFtpd(FtpServer):
    kind: ClassVar[str] = "pureftpd"
    binary_name: ClassVar[str] = "pure-ftpd"
    # It can be built to ask for it (ONLY_ACCEPT_REUSED_SSL_SESSIONS); Debian's build does not.
    requires_session_reuse: ClassVar[bool] = False
    further_users: Sequence[str] = ()
    """Accounts with the same password, each at home in the folder of its name below `root`."""

    @classmethod
    def missing(cls) -> str | None:
        if reason := super().missing():
            return reason
        return None if running_as_root() else "Pure-FTPd runs only as root"

    def command(self, binary: Binary) -> list[str]:
        uid, gid = file_owner()
        if self.read_only:
            # It has no such option for real users; another user's files come to the same.
            uid, gid = uid + 1, gid + 1
        plain, database = self._home / "users", self._home / "users.pdb"
        homes = {self.user: self.root} | {name: self.root / name for name in self.further_users}
        for home in homes.values():
            home.mkdir(exist_ok=True)
            os.chown(home, *file_owner())
        plain.write_text(
            "".join(
                f"{name}:{PASSWORD_HASH}:{uid}:{gid}::{home}/./{':' * 12}\n"
                for name, home in homes.items()
            )
        )
        tool = find_binary("pure-pw", self.kind)
        if tool is None:
            raise RuntimeError("pure-pw is missing beside pure-ftpd")
        subprocess.run(
            [tool.path, "mkdb", database, "-f", plain],
            check=True,
            env=tool.environment(),
        )
        arguments = [
            *("--bind", f"{self.host},{self.port}"),
            *("--passiveportrange", f"{self._ports.passive_first}:{self._ports.passive_last}"),
            *("--login", f"puredb:{database}"),
            *("--pidfile", str(self._home / "pid")),
            *("--umask", "133:022"),
            *("--minuid", "1"),
            *("--maxload", "1000"),
            *("--syslogfacility", "none"),
            "--noanonymous",
            "--chrooteveryone",
            "--dontresolve",
            "--displaydotfiles",
        ]
        if self.max_clients is not None:
            arguments += ["--maxclientsnumber", str(self.max_clients)]
        if self.max_per_ip is not None:
            arguments += ["--maxclientsperip", str(self.max_per_ip)]
        if self._certificate is not None and self.tls:
            arguments += [
                *("--tls", "3"),
                *("--certfile", f"{self._certificate.file},{self._certificate.key}"),
            ]
        return [str(binary.path), *arguments, *self.extra]
