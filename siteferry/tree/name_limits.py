"""Which names a server can hold, as far as the words of its FEAT (RFC 2389) tell.

Measured with Debian 12's vsftpd 3.0.3, ProFTPD 1.3.8, Pure-FTPd 1.0.50 and with pyftpdlib 2.2.0;
`tests/contract/test_odd_names.py` repeats it. What no server there refuses is not listed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

# Words that only this server has, or all that it has; TLS adds its own.
PUREFTPD_WORDS = frozenset({"ESTA", "ESTP", "PRET"})
PROFTPD_WORDS = frozenset({"CSID", "MFF", "RANG"})
VSFTPD_WORDS = frozenset({"EPRT", "EPSV", "MDTM", "PASV", "REST", "SIZE", "TVFS"})
PYFTPDLIB_WORDS = frozenset(
    {"EPRT", "EPSV", "MDTM", "MFMT", "MLST", "REST", "SIZE", "TVFS", "UTF8"}
)
# IIS 7 and later; REST came with 7.5.
IIS_WORDS = frozenset({"LANG", "UTF8", "HOST", "SIZE", "MDTM"})
_TLS_WORDS = frozenset({"AUTH", "PBSZ", "PROT", "CCC"})

_CONTROLS = frozenset(map(chr, (*range(1, 32), 127)))
_DEVICES = frozenset(
    {"CON", "PRN", "AUX", "NUL", *(f"{port}{n}" for port in ("COM", "LPT") for n in range(1, 10))}
)


@dataclass(frozen=True, slots=True)
class NameLimits:
    """What a name must be so that the server holds it. The defaults are those of a usual POSIX
    system; None is "not known", and nothing is refused for it."""

    server: str = "the server"
    """What messages call it."""
    encoding: str = "utf-8"
    """Of names in the session's commands."""
    utf8_only: bool = False
    """Bytes that are no UTF-8 become something else, whatever the session's encoding."""
    case_insensitive: bool | None = None
    """`Readme` and `README` are one name."""
    normalizing: bool | None = None
    """The composed and the decomposed form (Unicode's NFC and NFD) are one name."""
    name_bytes: int | None = 255
    path_bytes: int | None = 4095
    """Of a whole path as it is sent; `below` takes the remote directory off."""
    chmod_bytes: int | None = None
    """Of a whole path behind SITE CHMOD and three digits."""
    forbidden: frozenset[str] = frozenset()
    """Characters that no name may have."""
    forbidden_in_directories: frozenset[str] = frozenset()
    forbidden_at_the_end: frozenset[str] = frozenset()
    devices: frozenset[str] = frozenset()
    """Names, in upper case, that stand for something else with any extension or none."""

    def below(self, remote_dir: str) -> NameLimits:
        """These limits for paths relative to `remote_dir`, which is absolute."""
        if self.path_bytes is None:
            return self
        base = remote_dir.rstrip("/").encode(self.encoding, "replace")
        return replace(self, path_bytes=self.path_bytes - len(base) - 1)


_POSIX = NameLimits()
_UNKNOWN = NameLimits(name_bytes=None, path_bytes=None)

# A command line has 4096 bytes with its CR and LF; the longest that names a target is RNTO. Longer
# still is SITE CHMOD, without which a directory can do.
_VSFTPD = replace(_POSIX, server="vsftpd", path_bytes=4089, chmod_bytes=4079)
# MKD refuses an asterisk anywhere in the path (550 Invalid directory name), RNTO takes it.
_PROFTPD = replace(
    _POSIX,
    server="ProFTPD",
    path_bytes=4093,
    chmod_bytes=4085,
    forbidden_in_directories=frozenset("*"),
)
# Each control character becomes `_`, and so does each space at the end of the command: both with a
# reply of success. A backslash is refused (553 Prohibited).
_PUREFTPD = replace(
    _POSIX,
    server="Pure-FTPd",
    chmod_bytes=4095,
    forbidden=_CONTROLS | {"\\"},
    forbidden_at_the_end=frozenset(" "),
)
# A command line has 2048 bytes without its CR and LF; names are decoded as UTF-8, with replacement.
_PYFTPDLIB = replace(_POSIX, server="pyftpdlib", path_bytes=2043, chmod_bytes=2033, utf8_only=True)
# Microsoft, "Naming Files, Paths, and Namespaces" (learn.microsoft.com/windows/win32/fileio); not
# measured. NTFS counts UTF-16 units, and below which local path the site lies cannot be known.
_IIS = replace(
    _UNKNOWN,
    server="IIS",
    case_insensitive=True,
    normalizing=False,
    forbidden=_CONTROLS - {"\x7f"} | frozenset('<>:"|?*\\'),
    forbidden_at_the_end=frozenset(" ."),
    devices=_DEVICES,
)


def limits_for(features: frozenset[str], encoding: str = "utf-8") -> NameLimits:
    """The limits of the server that `features` point to; nothing is known of any other one.

    Which file system a server writes to, FEAT does not tell: of POSIX servers it is not known
    whether they fold case.

    Args:
        features: upper-case first words of the lines of FEAT, as a server profile has them.
        encoding: what names are sent in, `utf-8` or `latin-1`.
    """
    return replace(_limits(features - _TLS_WORDS), encoding=encoding)


def _limits(words: frozenset[str]) -> NameLimits:
    if words >= PUREFTPD_WORDS:
        return _PUREFTPD
    if words >= PROFTPD_WORDS:
        return _PROFTPD
    if words == VSFTPD_WORDS:
        return _VSFTPD
    if words == PYFTPDLIB_WORDS:
        return _PYFTPDLIB
    if words - {"REST"} == IIS_WORDS:
        return _IIS
    return _UNKNOWN
