"""What is known of a server: learned at login and by use, shared by all sessions of an account."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from siteferry.ftp.bursts import GENEROUS_BYTES, PROFTPD_BYTES, Allowance

TlsVersion = Literal["1.2", "1.3"]
TlsResult = Literal["resumed", "full", "refused"]
"""What data connections do under a version: resume the control connection's session, shake hands in
full, or nothing, for the server does not speak it."""

KEEP_SECONDS = 7 * 24 * 3600
"""How long what was learned is believed: hosts are moved and mended without a word."""

# FEAT words (RFC 2389) that only this server has; its greeting may have been changed.
_PUREFTPD = frozenset({"ESTA", "ESTP", "PRET"})
_PROFTPD = frozenset({"CSID", "MFF", "RANG"})
_VSFTPD = frozenset({"EPRT", "EPSV", "MDTM", "PASV", "REST", "SIZE", "TVFS"})
_TLS_WORDS = frozenset({"AUTH", "PBSZ", "PROT"})


@dataclass(slots=True)
class ServerProfile:
    """Abilities of one server as this account sees them.

    It is corrected by every session that learns better, so it is the one mutable fact here; each
    field is assigned whole, which threads may do at any time.
    """

    features: frozenset[str] = frozenset()
    """Upper-case first words of FEAT (RFC 2389)."""
    epsv: bool = True
    """EPSV (RFC 2428) works; else PASV."""
    epsv_proven: bool = False
    """A data connection came about with EPSV."""
    time_verb: str | None = None
    """MFMT (ProFTPD, Pure-FTPd) or MDTM (vsftpd takes a time); None: times cannot be set."""
    time_refused: frozenset[str] = frozenset()
    """Verbs that were tried in vain."""
    size: bool = True
    """SIZE (RFC 3659, section 4) is answered."""
    restart: bool = True
    """REST and STOR go on in the middle of a file (RFC 3659, section 5)."""
    append: bool = True
    """APPE goes on at its end (RFC 959)."""
    rename_over: bool = True
    """RNTO replaces an existing file."""
    rename_across: bool | None = None
    """RNTO moves a file into another directory; None: not tried yet."""
    chmod: bool = True
    """SITE CHMOD is known, as far as it was tried."""
    encoding: str = "utf-8"
    """Of names: UTF-8 where the server says so (RFC 2640), else Latin-1."""
    tls: Mapping[TlsVersion, TlsResult] = field(default_factory=dict)
    """What was seen of data connections under each version."""
    learned: float = 0.0
    """When this was begun, Unix seconds."""

    def learn_features(self, words: frozenset[str]) -> None:
        """Take what FEAT tells. Where it tells something else than before, the server has changed,
        and what it was seen not to do may work now."""
        if self.features and words != self.features:
            self._forget()
        self.features = words
        if self.time_verb is None:
            wanted = "MFMT" if "MFMT" in words else "MDTM" if "MDTM" in words else None
            if wanted not in self.time_refused:
                self.time_verb = wanted

    def _forget(self) -> None:
        fresh = ServerProfile(learned=self.learned)
        for name in self.__slots__:
            setattr(self, name, getattr(fresh, name))

    def refuse_time_verb(self) -> None:
        """Setting times was answered with an error of syntax or absence: stop asking."""
        if self.time_verb:
            self.time_refused = self.time_refused | {self.time_verb}
        self.time_verb = None

    # -- TLS versions ----------------------------------------------------------------------------

    @property
    def tls_version(self) -> TlsVersion:
        """The version to speak: the first that resumes or is still to be tried; 1.2 before 1.3, for
        all servers resume it, and a resumed session needs no key exchange there."""
        seen = self.tls  # another thread may put another one in its place meanwhile
        order: tuple[TlsVersion, TlsVersion] = ("1.2", "1.3")
        for version in order:
            if seen.get(version, "resumed") == "resumed":
                return version
        return "1.2" if seen["1.3"] == "refused" else "1.3"

    def learn_tls(self, version: TlsVersion, result: TlsResult) -> None:
        """Remember what came of a version."""
        if self.tls.get(version) != result:
            self.tls = {**self.tls, version: result}

    # -- bursts ----------------------------------------------------------------------------------

    @property
    def is_known(self) -> bool:
        """Whether this is a server whose ways were measured (docs/servers.md)."""
        words = self.features - _TLS_WORDS
        return words >= _PROFTPD or words >= _PUREFTPD or words == _VSFTPD

    def allowance(self, *, encrypted: bool) -> Allowance:
        """How many commands may wait at this server (docs/decisions/0005)."""
        words = self.features - _TLS_WORDS
        if words >= _PROFTPD:
            # Under TLS it reads record by record, and each command is one.
            return Allowance(GENEROUS_BYTES, None if encrypted else PROFTPD_BYTES)
        if words >= _PUREFTPD or words == _VSFTPD:
            return Allowance(GENEROUS_BYTES)
        return Allowance()

    @property
    def holds_replies_back(self) -> bool:
        """Whether this server's control connection may have Nagle's algorithm on, as vsftpd's."""
        return not self.features >= _PROFTPD

    def answers_late(self, *, encrypted: bool) -> bool:
        """Whether the end of a transfer shows on the data connection a round trip before its 226:
        vsftpd, whose Nagle's algorithm holds the 226 until its 150 is acknowledged."""
        return self.features - _TLS_WORDS == _VSFTPD and not encrypted

    # -- keeping ---------------------------------------------------------------------------------

    def text(self) -> str:
        """This profile as the ledger keeps it (JSON)."""
        return _ADAPTER.dump_json(self).decode()


_ADAPTER = TypeAdapter(ServerProfile)


def profile_of(text: str | None, now: float) -> ServerProfile:
    """A profile from what `text()` gave; a new one where there is none, it is older than
    KEEP_SECONDS, or another version of siteferry wrote it."""
    if text is not None:
        try:
            known = _ADAPTER.validate_json(text)
        except ValidationError:
            return ServerProfile(learned=now)
        if 0 <= now - known.learned < KEEP_SECONDS:
            return known
    return ServerProfile(learned=now)
