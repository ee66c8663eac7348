"""What `config/siteferry.yaml` may say of Flower, the web page that shows Celery's tasks."""

from __future__ import annotations

import re

from pydantic import Field, PrivateAttr, field_validator

from siteferry.settings.references import CredentialReference
from siteferry.settings.values import Duration, HiddenText, Host, LocalPath, Part, wrong

_PREFIX = re.compile(r"[A-Za-z0-9._~-]+(/[A-Za-z0-9._~-]+)*")
_USER = re.compile(r"[^:\s\x00-\x1f\x7f]+")


class FlowerSettings(Part):
    """`siteferry flower`: where it listens, and who may look. It does not start without a
    password."""

    address: Host = Field(
        default="127.0.0.1", description="where it listens; 0.0.0.0: on all addresses"
    )
    port: int = Field(default=5555, ge=1, le=65535)
    url_prefix: str = Field(
        default="",
        description="the path below which a proxy shows it, such as flower; no rewriting",
    )
    user: str = Field(default="siteferry", description="who logs in")
    password: HiddenText | None = Field(
        default=None,
        description="better ${credential:flower/PASSWORD}, ${VAR} or `password_file`",
    )
    password_file: LocalPath | None = Field(
        default=None, description="a file that holds the password and nothing else"
    )
    read_only: bool = Field(
        default=True, description="false: whoever logs in may stop workers and take back tasks"
    )
    max_tasks: int = Field(
        default=10_000, ge=100, le=1_000_000, description="how many tasks it remembers"
    )
    purge_offline_workers: Duration = Field(
        default=600, description="how long it shows a worker that has gone, such as 10m"
    )
    _password_reference: CredentialReference | None = PrivateAttr(default=None)
    _password_unset: str | None = PrivateAttr(default=None)

    @field_validator("url_prefix")
    @classmethod
    def _plain_path(cls, value: str) -> str:
        path = value.strip("/")
        if path and not _PREFIX.fullmatch(path):
            raise wrong("must be a path of letters, digits, `.`, `_`, `~` and `-`, such as flower")
        return path

    @field_validator("user")
    @classmethod
    def _name_without_colon(cls, value: str) -> str:
        if not _USER.fullmatch(value):
            raise wrong("must be a name without spaces and without a colon")
        return value

    @property
    def password_reference(self) -> CredentialReference | None:
        """Where the password is kept; see `RedisSettings.password_reference`."""
        return self._password_reference

    @property
    def password_unset(self) -> str | None:
        """Which variable of the environment is missing for the password; None: none is."""
        return self._password_unset
