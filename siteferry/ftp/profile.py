"""What is known of a server: learned at login and by use, shared by all sessions of an account."""

from __future__ import annotations

from dataclasses import dataclass, field


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
    time_verb: str | None = None
    """MFMT (ProFTPD, Pure-FTPd) or MDTM (vsftpd takes a time); None: times cannot be set."""
    rename_over: bool = True
    """RNTO replaces an existing file."""
    encoding: str = "utf-8"
    time_refused: set[str] = field(default_factory=set)
    """Verbs that were tried in vain."""

    def learn_features(self, words: frozenset[str]) -> None:
        self.features = words
        if self.time_verb is None:
            wanted = "MFMT" if "MFMT" in words else "MDTM" if "MDTM" in words else None
            if wanted not in self.time_refused:
                self.time_verb = wanted

    def refuse_time_verb(self) -> None:
        """Setting times was answered with an error of syntax or absence: stop asking."""
        if self.time_verb:
            self.time_refused.add(self.time_verb)
        self.time_verb = None
