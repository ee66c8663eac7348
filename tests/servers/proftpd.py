"""ProFTPD (Debian's 1.3.8), one process for each session, with mod_facts and mod_tls."""

from __future__ import annotations

import grp
import pwd
import re
from typing import ClassVar

from tests.servers.base import PASSWORD_HASH, FtpServer, file_owner, running_as_root
from tests.servers.binaries import Binary


class ProFtpd(FtpServer):
    kind: ClassVar[str] = "proftpd"
    binary_name: ClassVar[str] = "proftpd"
    login_line: ClassVar[re.Pattern[str] | None] = re.compile(r": Login successful\.")
    session_line: ClassVar[re.Pattern[str] | None] = re.compile(
        r"proftpd\[(?P<session>\d+)\].*: FTP session (?:(?P<open>opened)|closed)\."
    )

    def command(self, binary: Binary) -> list[str]:
        uid, gid = file_owner()
        users = self._home / "users"
        users.write_text(f"{self.user}:{PASSWORD_HASH}:{uid}:{gid}::{self.root}:/bin/sh\n")
        users.chmod(0o600)
        # A library with the modules as a whole: mod_tls is shared, the rest is compiled in.
        lines = [
            f"ModulePath {binary.folder('/usr/lib/proftpd')}",
            'ServerName "test"',
            "ServerType standalone",
            f"User {pwd.getpwuid(uid).pw_name}",
            f"Group {grp.getgrgid(gid).gr_name}",
            f"DefaultAddress {self.host}",
            "SocketBindTight on",
            f"Port {self.port}",
            f"PassivePorts {self._ports.passive_first} {self._ports.passive_last}",
            "UseIPv6 off",
            "UseReverseDNS off",
            "AuthOrder mod_auth_file.c",
            f"AuthUserFile {users}",
            "RequireValidShell off",
            "UseFtpUsers off",
            "Umask 022",
            "AllowOverwrite on",
            *([] if "AllowStoreRestart" in " ".join(self.extra) else ["AllowStoreRestart on"]),
            "AllowRetrieveRestart on",
            'ListOptions "-a"',
            "DelayEngine off",
            "WtmpLog off",
            "TransferLog none",
            f"SystemLog {self._log_file}",
            f"PidFile {self._home / 'pid'}",
            f"ScoreboardFile {self._home / 'scoreboard'}",
            "ControlsEngine off",
        ]
        if running_as_root():
            lines.append(f"DefaultRoot {self.root}")
        if self.max_clients is not None:
            lines.append(f"MaxClients {self.max_clients}")
        if self.max_per_ip is not None:
            lines.append(f"MaxClientsPerHost {self.max_per_ip}")
        if self.read_only:
            lines += ["<Limit WRITE>", "DenyAll", "</Limit>"]
        if self._certificate is not None and self.tls:
            lines += [
                "LoadModule mod_tls.c",
                "TLSEngine on",
                "TLSRequired on",
                *([] if "TLSProtocol" in " ".join(self.extra) else ["TLSProtocol TLSv1.2 TLSv1.3"]),
                f"TLSRSACertificateFile {self._certificate.file}",
                f"TLSRSACertificateKeyFile {self._certificate.key}",
                f"TLSLog {self._log_file}",
                "TLSVerifyClient off",
                "TLSRenegotiate none",
            ]
        configuration = self._home / "proftpd.conf"
        configuration.write_text("".join(f"{line}\n" for line in [*lines, *self.extra]))
        return [str(binary.path), "--nodaemon", "--config", str(configuration)]
