"""vsftpd (Debian's 3.0.3), one process for each session, no MLSD, no MFMT.

Its real users come from PAM, whose configuration belongs to the machine. So the one user here is
"ftp", which vsftpd calls anonymous, allowed to do everything, and admitted only with a password
from `email_password_file`. For root, clients are shut up in the folder above `root` (the one that
an anonymous user starts in must not be writable); for others there is no chroot at all.
"""

from __future__ import annotations

import pwd
import re
from typing import Any, ClassVar

from tests.servers.base import FtpServer, file_owner, running_as_root
from tests.servers.binaries import Binary


class Vsftpd(FtpServer):
    kind: ClassVar[str] = "vsftpd"
    binary_name: ClassVar[str] = "vsftpd"
    login_line: ClassVar[re.Pattern[str] | None] = re.compile(r" OK LOGIN: ")

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.user = "ftp"
        if running_as_root():
            self.remote_root = f"/{self.root.name}"

    def command(self, binary: Binary) -> list[str]:
        passwords = self._home / "passwords"
        passwords.write_text(f"{self.password}\n")
        empty = self._home / "empty"
        empty.mkdir(exist_ok=True)
        settings: dict[str, object] = {
            "listen": True,
            "listen_address": self.host,
            "listen_port": self.port,
            "background": False,
            "pasv_min_port": self._ports.passive_first,
            "pasv_max_port": self._ports.passive_last,
            # Containers often refuse what these need, and sessions then break off.
            "seccomp_sandbox": False,
            "isolate": False,
            "isolate_network": False,
            "secure_chroot_dir": empty,
            "anonymous_enable": True,
            "local_enable": False,
            "ftp_username": pwd.getpwuid(file_owner()[0]).pw_name,
            "secure_email_list_enable": True,
            "email_password_file": passwords,
            "anon_root": self.root.parent,
            "anon_world_readable_only": False,
            "anon_umask": "022",
            "write_enable": not self.read_only,
            "anon_upload_enable": True,
            "anon_mkdir_write_enable": True,
            "anon_other_write_enable": True,
            "mdtm_write": True,
            "force_dot_files": True,
            "delay_failed_login": 0,
            "xferlog_enable": True,
            "vsftpd_log_file": self._log_file,
            "log_ftp_protocol": True,
        }
        if not running_as_root():
            settings["run_as_launching_user"] = True
        if self.max_clients is not None:
            settings["max_clients"] = self.max_clients
        if self.max_per_ip is not None:
            settings["max_per_ip"] = self.max_per_ip
        if self._certificate is not None and self.tls:
            settings |= {
                "ssl_enable": True,
                "allow_anon_ssl": True,
                "force_anon_logins_ssl": True,
                "force_anon_data_ssl": True,
                "rsa_cert_file": self._certificate.file,
                "rsa_private_key_file": self._certificate.key,
                "require_ssl_reuse": True,
                "ssl_ciphers": "HIGH",
            }
        configuration = self._home / "vsftpd.conf"
        configuration.write_text(
            "".join(
                f"{name}={_vsftpd_value(value)}\n"  # no space may stand around the sign
                for name, value in settings.items()
            )
            + "".join(f"{line}\n" for line in self.extra)
        )
        return [str(binary.path), str(configuration)]


def _vsftpd_value(value: object) -> object:
    if isinstance(value, bool):
        return "YES" if value else "NO"
    return value
