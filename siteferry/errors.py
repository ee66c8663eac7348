"""Every error that siteferry raises, in one tree.

SiteferryError
├── ConfigurationError            exit 2   a file, an option or a workspace is not as it must be
│   └── SourceElsewhere         transient  this worker lacks it, another one gets the item in time
├── CredentialError               exit 3
│   ├── CredentialAbsent                   the store has no such entry
│   ├── CredentialDenied                   the store refuses to give it
│   ├── CredentialReadOnly                 the store cannot be written from here
│   ├── CredentialUnreachable   transient  the store does not answer
│   ├── CredentialElsewhere     transient  only another worker has it, who gets the item in time
│   └── CredentialMalformed                the entry or the reference cannot be used
├── HostError                     exit 4   the host cannot be reached or refuses; ends the run
│   ├── HostUnknown                        its name does not resolve
│   ├── HostUnreachable         transient  nothing answers at the address
│   ├── NotAnFtpServer                     something else answers (SSH, HTTP)
│   ├── TlsFailed                          certificate or handshake
│   ├── ConnectionLimited       transient  the host admits no more connections now
│   │   └── SlotsBusy           transient  all connections we allow ourselves are in use
│   ├── RemoteDirectoryRefused             the remote directory cannot be written
│   └── StorageFull                        quota or disk of the host
├── LoginRefused                  exit 3   the host does not accept the credentials; ends the run
│   └── AccountStopped                     it did not a short while ago: nobody tries for now
├── SessionLost                 transient  the connection broke, or a reply did not come in time
├── ReplyError                             the server refused one command
│   ├── TransientReply          transient  4yz
│   └── PermanentReply                     5yz
│       ├── NotFound                       550 and the text says: no such file
│       └── NotPermitted                   550/553 and the text says: permission
├── TransferMismatch            transient  another size has arrived than was sent
├── SourceError                            a file of the workspace
│   ├── SourceUnreadable                   it cannot be opened or read
│   ├── SourceChanged           transient  it changed while it was read
│   └── PathRefused                        its name or its target may not be published
├── TargetConflict                         a directory stands where a file must go, or the reverse
├── DocumentDamaged                        a manifest or journal with a wrong checksum
├── ListingDamaged                         a remote listing that is not whole, or makes no sense
├── WorkspaceUnwritable                    a download cannot be written where it belongs
├── RunError
│   ├── TargetHeld                exit 5   another run holds the target
│   ├── SafetyLimit               exit 6
│   │   └── PlanOutdated                   the source or the server is not as the plan had it
│   ├── RunNotEnding                       it cannot be ended any more
│   └── RunCancelled              exit 8
├── LedgerUnreachable           transient, exit 7   Redis does not answer
├── ClockAhead                             what is due by the clock here is not by Redis' for long
├── RunLost                       exit 7   Redis has lost the run that was under way
├── NoWorker                      exit 7
├── UnknownRun                    exit 2
├── WorkersLost                            each worker that carried an item has died over it
├── LeaseLost                   transient  this worker no longer holds the item it works on
└── WorkerStops                 transient  this worker was told to stop, and gives the item back
"""

from __future__ import annotations

from typing import ClassVar

from siteferry.secret import redact


class SiteferryError(Exception):
    """Base of all. `reply` is the server's own line; `next_step` tells the operator what to do."""

    transient: ClassVar[bool] = False
    exit_code: ClassVar[int] = 1
    ends_run: ClassVar[bool] = False
    """True where no other file of the run can fare better than this one."""

    def __init__(self, message: str, *, reply: str | None = None, next_step: str = "") -> None:
        self.message = redact(message)
        self.reply = redact(reply) if reply else None
        self.next_step = next_step
        super().__init__(self.message)

    def __str__(self) -> str:
        parts = [self.message]
        if self.reply:
            parts.append(f"the server said: {self.reply}")
        text = "; ".join(parts)
        return f"{text.rstrip('.')}. {self.next_step}" if self.next_step else text


class ConfigurationError(SiteferryError):
    """A file, an option or a workspace is not as it must be."""

    exit_code = 2
    ends_run = True


class SourceElsewhere(ConfigurationError):
    """This worker lacks the website's sources or its file; who gets the item next may have them."""

    transient = True


class CredentialError(SiteferryError):
    """A credential cannot be had."""

    exit_code = 3
    ends_run = True


class CredentialAbsent(CredentialError):
    """The store answered, and has no such entry."""


class CredentialDenied(CredentialError):
    """The store refuses to give the entry."""


class CredentialReadOnly(CredentialError):
    """The store, or what we are to it, may be read and not written."""


class CredentialUnreachable(CredentialError):
    """The store does not answer."""

    transient = True


class CredentialElsewhere(CredentialError):
    """A command has brought it to its own worker, and this is another one; who gets the item next
    may be the right one."""

    transient = True


class CredentialMalformed(CredentialError):
    """The entry, or the reference to it, cannot be used."""


class HostError(SiteferryError):
    """The host cannot be reached, or refuses what every file needs."""

    exit_code = 4
    ends_run = True


class HostUnknown(HostError):
    """The host's name does not resolve."""


class HostUnreachable(HostError):
    """Nothing answers at the host's address and port."""

    transient = True


class NotAnFtpServer(HostError):
    """Something answers there, but it does not speak FTP."""


class TlsFailed(HostError):
    """The certificate is not trusted, or the handshake failed."""


class ConnectionLimited(HostError):
    """The host admits no further connection at the moment (421, 530 'too many')."""

    transient = True


class SlotsBusy(ConnectionLimited):
    """All connections that we allow ourselves to this account or address are in use."""


class RemoteDirectoryRefused(HostError):
    """The remote directory cannot be entered or written."""


class StorageFull(HostError):
    """The quota or the disk of the host is used up (552, or 45x that says so)."""

    exit_code = 1


class LoginRefused(SiteferryError):
    """The host does not accept the credentials (530)."""

    exit_code = 3
    ends_run = True


class AccountStopped(LoginRefused):
    """The host has refused the account's login a short while ago, so it is not tried again yet."""


class SessionLost(SiteferryError):
    """The control or data connection broke, or a reply did not come before its deadline."""

    transient = True
    exit_code = 4


class ReplyError(SiteferryError):
    """The server refused one command; `code` is the reply code (RFC 959, section 4.2)."""

    def __init__(self, message: str, *, code: int, reply: str, next_step: str = "") -> None:
        self.code = code
        super().__init__(message, reply=reply, next_step=next_step)


class TransientReply(ReplyError):
    """4yz: the same command may succeed later."""

    transient = True


class PermanentReply(ReplyError):
    """5yz: the same command will fail again."""


class NotFound(PermanentReply):
    """550 for a path that does not exist."""


class NotPermitted(PermanentReply):
    """550 or 553 for a path that the account may not write or read."""


class TransferMismatch(SiteferryError):
    """After a transfer the other side holds another number of bytes than was sent."""

    transient = True


class SourceError(SiteferryError):
    """A file of the workspace cannot be published as it is."""


class SourceUnreadable(SourceError):
    """A source file or directory cannot be opened or read."""


class SourceChanged(SourceError):
    """A source file changed while it was read."""

    transient = True


class PathRefused(SourceError):
    """A name that FTP cannot carry, or a link that leads out of the source."""


class TargetConflict(SiteferryError):
    """On the server a directory stands where a file must go, or a file where a directory must."""


class DocumentDamaged(SiteferryError):
    """A manifest or a journal on the server is cut short or its checksum is wrong."""

    exit_code = 4


class ListingDamaged(SiteferryError):
    """A remote listing that is not whole, or makes no sense; nothing may be concluded from it."""

    exit_code = 4


class WorkspaceUnwritable(SiteferryError):
    """A file that was downloaded cannot be written where it belongs."""


class RunError(SiteferryError):
    """The run as a whole cannot go on."""

    ends_run = True


class TargetHeld(RunError):
    """Another run holds the target; `run` names it where the ledger knows it."""

    exit_code = 5

    def __init__(
        self, message: str, *, run: str = "", reply: str | None = None, next_step: str = ""
    ) -> None:
        self.run = run
        super().__init__(message, reply=reply, next_step=next_step)


class SafetyLimit(RunError):
    """A safety limit stopped the run."""

    exit_code = 6


class PlanOutdated(SafetyLimit):
    """The source or the server has changed since the plan that was to be carried out."""


class RunNotEnding(RunError):
    """A run that was to be cancelled publishes, or has ended."""


class RunCancelled(RunError):
    """The run was cancelled elsewhere."""

    exit_code = 8


class LedgerUnreachable(SiteferryError):
    """Redis does not answer."""

    transient = True
    exit_code = 7


class ClockAhead(SiteferryError):
    """What is due by the clock of this machine is not due by Redis' for long."""


class RunLost(SiteferryError):
    """Redis has lost its data, and with it a run that was under way."""

    exit_code = 7


class NoWorker(SiteferryError):
    """No worker answers."""

    exit_code = 7


class UnknownRun(SiteferryError):
    """The ledger knows no run of that name (it may have expired)."""

    exit_code = 2


class LeaseLost(SiteferryError):
    """The item was handed to another attempt; this one must not write any more."""

    transient = True


class WorkerStops(SiteferryError):
    """This worker was told to stop before it had begun what cannot be left half done."""

    transient = True


class WorkersLost(SiteferryError):
    """Worker after worker has died, or gone silent, over one item that came no further: it is not
    given to another one."""


class Unexpected(SiteferryError):
    """A fault of siteferry itself. It is tried again like a lost connection, a bounded number of
    times; the worker's log has the traceback."""

    transient = True
