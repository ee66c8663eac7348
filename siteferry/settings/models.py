"""What `config/siteferry.yaml` may say, as frozen values."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PrivateAttr, field_validator

from siteferry.health.place import below, default_state_directory
from siteferry.settings.document import Positions
from siteferry.settings.flower import FlowerSettings
from siteferry.settings.metrics import MetricsSettings
from siteferry.settings.redis_url import split_redis_url
from siteferry.settings.references import CredentialReference
from siteferry.settings.stores import CredentialSettings
from siteferry.settings.values import (
    ByteSize,
    Duration,
    HiddenText,
    Host,
    LocalPath,
    Part,
    wrong,
)

CONNECTS_PER_SECOND = 10
"""New connections to one address."""

LogLevel = Literal["debug", "info", "warning", "error", "critical"]


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def default_state_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """`$XDG_STATE_HOME/siteferry`, or `~/.local/state/siteferry` (XDG Base Directory 0.8)."""
    return Path(default_state_directory(environ))


class Paths(Part):
    """Where things are. Relative paths were resolved when the settings were loaded."""

    workspaces: LocalPath = Field(
        default=Path("workspaces"), description="folder of the workspaces, one for each website"
    )
    websites: LocalPath = Field(
        default=Path("websites"),
        description="folder of the website files; default: `websites` beside this file",
    )


class RedisSettings(Part):
    """Where Redis is. With no `url`, siteferry runs a private server of its own."""

    url: str | None = Field(
        default=None, description="redis://, rediss:// or unix://; null: a private server"
    )
    username: str | None = None
    password: HiddenText | None = Field(
        default=None,
        description="better ${VAR}, ${credential:redis/PASSWORD} or `password_file`",
    )
    password_file: LocalPath | None = Field(
        default=None, description="a file that holds the password and nothing else"
    )
    ca_file: LocalPath | None = Field(
        default=None, description="PEM: who vouches for a rediss:// server; default: the system's"
    )
    cert_file: LocalPath | None = Field(
        default=None, description="PEM: our own certificate, for a server that asks for one"
    )
    key_file: LocalPath | None = Field(
        default=None, description="PEM: its key, where it does not stand in `cert_file`"
    )
    verify: bool = Field(default=True, description="false: any certificate is accepted")
    key_prefix: str = Field(default="siteferry:", min_length=1, description="begins every key")
    keep_runs: Annotated[Duration, Field(ge=3600)] = Field(
        default=30 * 24 * 3600,
        description="how long a run is known after its end; at least 1h, may be written as 30d",
    )
    patience_seconds: float = Field(
        default=10.0,
        ge=0,
        le=86400,
        description="how long a command waits for a Redis that is away",
    )
    _password_reference: CredentialReference | None = PrivateAttr(default=None)

    @field_validator("url")
    @classmethod
    def _url_without_login(cls, value: str | None) -> str | None:
        if value is None:
            return None
        address = split_redis_url(value)
        if address is None:
            raise wrong("must be redis://HOST:PORT/DB, rediss://HOST:PORT/DB or unix:///PATH")
        if address.password is not None or address.username is not None:
            raise wrong("must carry no login; there are keys for user and password")
        if address.tls_options:
            raise wrong("must carry no ssl_ options; there are ca_file, cert_file and verify")
        return address.url

    @property
    def password_reference(self) -> CredentialReference | None:
        """Where the password is kept; `siteferry.credentials.resolve_redis_password` asks for it.

        Set only where the file gives a reference and no environment variable overrides it;
        `password` is None then.
        """
        return self._password_reference


class LogSettings(Part):
    level: Annotated[LogLevel, BeforeValidator(_lower)] = "info"
    format: Annotated[Literal["text", "json"], BeforeValidator(_lower)] = "text"


class BatchSettings(Part):
    """How many small files make one task: a batch is closed by whichever comes first."""

    files: int = Field(default=64, ge=1, le=10_000)
    bytes: ByteSize = Field(default=8 * 2**20, description="bytes; 8MiB or 500k may be written")


class WorkerSettings(Part):
    concurrency: int = Field(default=8, ge=1, le=1024, description="threads of one worker")
    idle_seconds: float = Field(
        default=3.0, ge=0, le=3600, description="how long a session waits for its next item"
    )
    task_seconds: float = Field(
        default=60.0,
        gt=0,
        le=86400,
        description="after which a task that sends a long file lets others go first",
    )
    grace_seconds: float = Field(
        default=30.0,
        gt=0,
        le=3600,
        description="how long a worker that was told to stop may take to finish what it is at",
    )


class Settings(Part):
    """The settings of a process; `load_settings` makes them.

    `defaults` has the shape of a website file and is merged under each; it is kept as written
    (variables not expanded) and out of every print and dump. `address_limits` maps a host, in
    lower case, to the connections that its address admits for all its accounts together.
    """

    paths: Paths = Field(default_factory=Paths)
    redis: RedisSettings = Field(default_factory=RedisSettings)
    credentials: CredentialSettings = Field(default_factory=CredentialSettings)
    defaults: dict[str, Any] = Field(
        default_factory=dict,
        repr=False,
        exclude=True,
        description="merged under every website file; has the same shape",
    )
    address_limits: dict[Host, Annotated[int, Field(ge=1)]] = Field(
        default_factory=dict,
        description="host: connections that its address admits for all its accounts together",
    )
    connects_per_second: int = Field(
        default=CONNECTS_PER_SECOND,
        ge=1,
        le=1000,
        description="new connections to one address within a second",
    )
    log: LogSettings = Field(default_factory=LogSettings)
    state_dir: LocalPath = Field(
        default_factory=default_state_dir,
        description="default: $XDG_STATE_HOME/siteferry, or ~/.local/state/siteferry",
    )
    health_dir: LocalPath | None = Field(
        default=None,
        description="where workers write for siteferry-probe; default: below state_dir",
    )
    batch: BatchSettings = Field(default_factory=BatchSettings)
    worker: WorkerSettings = Field(default_factory=WorkerSettings)
    metrics: MetricsSettings = Field(default_factory=MetricsSettings)
    flower: FlowerSettings = Field(default_factory=FlowerSettings)
    _positions: Positions = PrivateAttr(default_factory=lambda: Positions("(defaults)"))
    _file: Path | None = PrivateAttr(default=None)
    _base: Path = PrivateAttr(default_factory=Path)

    @property
    def file(self) -> Path | None:
        """The file that the settings came from, absolute; None where there was none."""
        return self._file

    @property
    def health_directory(self) -> Path:
        """`health_dir`, or its default."""
        return self.health_dir or Path(below(str(self.state_dir)))

    @property
    def base(self) -> Path:
        """The folder that relative paths of the settings and the website files start from."""
        return self._base

    @property
    def positions(self) -> Positions:
        """The lines of the settings file, for errors about `defaults`."""
        return self._positions
