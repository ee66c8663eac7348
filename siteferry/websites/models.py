"""What `config/websites/NAME.yaml` may say, as frozen values.

The models mirror the file. Values that depend on others (the host on the domain, the port on the
security, what `defaults` of the settings give) are filled in by `siteferry.websites.loading`, so
make a Website with `load_website` or `website_from_mapping`.
"""

from __future__ import annotations

import re
import stat
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import Field, PrivateAttr, field_validator, model_validator

from siteferry.secret import Secret
from siteferry.settings import Settings
from siteferry.settings.document import Positions
from siteferry.settings.values import ByteSize, Host, LocalPath, Part, no_controls, wrong
from siteferry.websites.cron import CronText
from siteferry.websites.logins import Password, Username, WebhookUrl
from siteferry.websites.values import (
    DeleteLimit,
    DeleteMost,
    Fingerprint,
    Line,
    Mode,
    RemotePath,
    SafeName,
    SourcePath,
    ZoneName,
)

Seconds = Annotated[float, Field(gt=0, le=3600)]
PublishClass = Literal["assets", "pages", "entry"]
# A port of digits only, for `user:pass/word@host` would pass for a host and a path otherwise.
_PUBLIC_URL = re.compile(
    r"https?://(?:\[[0-9A-Fa-f:.]+\]|[^\s/@:?#\[\]]+)(?::\d+)?(?:[/?#]\S*)?", re.IGNORECASE
)
DEFAULT_PUBLISH_ORDER: tuple[PublishClass, ...] = ("assets", "pages", "entry")


class Identity(Part):
    """The `website:` block."""

    name: SafeName = Field(description="must agree with the file's name; may be left out")
    domain: Host | None = None
    workspace: Line = Field(
        min_length=1, description="folder below paths.workspaces; default: the name"
    )
    groups: tuple[SafeName, ...] = Field(default=(), description="for `siteferry import --group`")


class Timeouts(Part):
    """Seconds without any sign of life before a connect, a reply or a transfer is given up."""

    connect: Seconds = 15.0
    control: Seconds = 60.0
    data: Seconds = 60.0


class FtpTarget(Part):
    """The `ftp:` block: where an account is, and how to talk to it."""

    host: Host = Field(description="default: ftp.<domain>")
    port: int = Field(default=21, ge=1, le=65535, description="default: 21; 990 for implicit")
    security: Literal["explicit", "implicit", "none", "auto"] = Field(
        default="explicit",
        description="explicit: AUTH TLS; implicit: TLS from the first byte; none: plain; "
        "auto: TLS is tried first, and going on in plain is said loudly",
    )
    ca_file: LocalPath | None = Field(default=None, description="PEM file of trusted authorities")
    fingerprint: Fingerprint | None = Field(
        default=None, description="sha256:… of the certificate, in place of the chain's check"
    )
    verify: bool = Field(default=True, description="false: any certificate is accepted")
    username: Username = Field(default=None, description="text, ${VAR} or ${credential:SITE/KEY}")
    password: Password = Field(
        default=None, description="better ${credential:SITE/KEY} or ${VAR} than text"
    )
    remote_dir: RemotePath = "/"
    staging_dir: RemotePath | None = Field(
        default=None, description="default: .htsiteferry inside remote_dir"
    )
    max_connections: int = Field(default=8, ge=1, le=256)
    encoding: Literal["auto", "utf-8", "latin-1"] = "auto"
    timeouts: Timeouts = Field(default_factory=Timeouts)


class Source(Part):
    """A directory of the workspace. With `preserve_parent` it appears on the server by its name."""

    path: SourcePath
    preserve_parent: bool = False

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return {"path": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _parent_has_a_name(self) -> Source:
        if self.preserve_parent and not PurePosixPath(self.path).name:
            raise wrong("has no parent to preserve; preserve_parent needs a directory's name")
        return self


class Delete(Part):
    """What a run may delete: nothing, what siteferry published earlier, or all that is not in the
    source; and how much of it at once."""

    mode: Literal["none", "published", "all"] = "none"
    max: DeleteMost = DeleteLimit(percent=10.0)


class VerifyCheck(Part):
    """A URL that is fetched after the publish, and what must come back."""

    url: Line
    status: int = Field(default=200, ge=100, le=599)
    text: str | None = Field(default=None, description="stands in the page")
    file: SourcePath | None = Field(default=None, description="published file that it must equal")

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return {"url": value} if isinstance(value, str) else value

    @field_validator("url")
    @classmethod
    def _http_without_login(cls, value: str) -> str:
        if _PUBLIC_URL.fullmatch(value) is None:
            raise wrong("must be http:// or https://, a host and a path; no login")
        return value


class AfterStep(Part):
    """A command or a webhook that gets the run's JSON; exactly one of the two is set.

    Webhook addresses are often secrets themselves, so `url` is a Secret.
    """

    command: tuple[str, ...] | None = Field(default=None, description="program and arguments")
    url: WebhookUrl | None = Field(default=None, description="gets the JSON by POST")

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return {"url": value} if isinstance(value, str) else value

    @field_validator("command")
    @classmethod
    def _runnable(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if value is not None and not (value and value[0]):
            raise wrong("must be a list: the program, then its arguments")
        return tuple(no_controls(part) for part in value) if value else None

    @model_validator(mode="after")
    def _one_of_two(self) -> AfterStep:
        if (self.command is None) == (self.url is None):
            raise wrong("must have either `command` or `url`")
        return self


class Schedule(Part):
    """When the website is imported by itself."""

    cron: CronText
    timezone: ZoneName = "UTC"
    overlap: Literal["skip", "queue"] = Field(
        default="skip", description="what becomes of a run that is due while another one goes on"
    )
    missed: Literal["run", "skip"] = Field(
        default="run", description="whether one that no scheduler was there for is made up for"
    )


class Chmod(Part):
    """Permissions that are set on the server (SITE CHMOD), of files that are sent and directories
    that are made; None leaves them as they are."""

    files: Mode | None = None
    directories: Mode | None = None

    @field_validator("directories")
    @classmethod
    def _open_to_the_owner(cls, value: int | None) -> int | None:
        # The FTP account is their owner, or it could not set them.
        if value is not None and value & stat.S_IRWXU != stat.S_IRWXU:
            raise wrong("must begin with 7, or nothing could be published into them")
        return value


class Website(Part):
    """One website: where it comes from, where it goes, and how. See `config/websites`."""

    identity: Identity = Field(alias="website")
    ftp: FtpTarget
    sources: tuple[Source, ...] = Field(default=(Source(path="output"),), min_length=1)
    exclude: tuple[Line, ...] = Field(default=(), description="gitignore rules")
    protect: tuple[Line, ...] = Field(
        default=(), description="gitignore rules of what is never deleted or replaced"
    )
    compare: Literal["auto", "manifest", "listing", "mtime", "checksum"] = "auto"
    publish: Literal["staged", "per-file"] = "staged"
    publish_order: tuple[PublishClass, ...] = DEFAULT_PUBLISH_ORDER
    delete: Delete = Field(default_factory=Delete)
    keep_previous: int = Field(
        default=0, ge=0, le=100, description="how many runs can be rolled back"
    )
    on_failure: Literal["hold", "publish"] = "hold"
    verify: tuple[VerifyCheck, ...] = ()
    after: tuple[AfterStep, ...] = ()
    bandwidth: ByteSize | None = Field(
        default=None, description="bytes per second for the whole run, such as 2MiB or 500k"
    )
    schedule: Schedule | None = None
    allow_purge_root: bool = Field(
        default=False, description="lets --purge-first empty the server's root directory"
    )
    chmod: Chmod | None = None
    _positions: Positions = PrivateAttr(default_factory=lambda: Positions("(no file)"))

    @field_validator("publish_order")
    @classmethod
    def _each_once(cls, value: tuple[PublishClass, ...]) -> tuple[PublishClass, ...]:
        if sorted(value) != sorted(DEFAULT_PUBLISH_ORDER):
            raise wrong("must name each of assets, pages and entry once")
        return value

    @property
    def name(self) -> str:
        return self.identity.name

    @property
    def domain(self) -> str | None:
        return self.identity.domain

    @property
    def workspace(self) -> str:
        return self.identity.workspace

    @property
    def groups(self) -> tuple[str, ...]:
        return self.identity.groups

    @property
    def positions(self) -> Positions:
        """The lines of the website's file, for messages about single keys."""
        return self._positions

    @property
    def file_mode(self) -> int | None:
        """Permission bits that files get, None where that is left to the server."""
        return self.chmod.files if self.chmod else None

    @property
    def directory_mode(self) -> int | None:
        """The same for directories."""
        return self.chmod.directories if self.chmod else None

    @property
    def password_in_file(self) -> bool:
        """Whether a password stands in the file itself, as older ones have it."""
        return isinstance(self.ftp.password, Secret)

    def workspace_path(self, settings: Settings) -> Path:
        """The website's folder below `paths.workspaces`."""
        return settings.paths.workspaces / self.workspace
