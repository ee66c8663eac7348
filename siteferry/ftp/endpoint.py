"""Where an account lives and how to talk to it: everything a session needs except the login."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Security = Literal["explicit", "implicit", "none", "auto"]


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds without any sign of life before a connect, a reply or a data transfer is given up."""

    connect_seconds: float = 15.0
    control_seconds: float = 60.0
    data_seconds: float = 60.0

    @property
    def total_seconds(self) -> float:
        return self.connect_seconds + self.control_seconds + self.data_seconds


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One FTP server as its website file describes it.

    `security`: explicit (AUTH TLS, RFC 4217), implicit (TLS from the first byte), none, or auto:
    AUTH TLS is tried, and a server that refuses the command is used in plain, which is logged as a
    warning. `fingerprint` is `sha256:` and the hex digest of the certificate in DER form; it takes
    the place of the chain and name checks. `encoding` is auto, utf-8 or latin-1.
    """

    host: str
    port: int = 21
    security: Security = "explicit"
    ca_file: Path | None = None
    fingerprint: str | None = None
    verify: bool = True
    encoding: str = "auto"
    deadlines: Deadlines = Deadlines()

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"
