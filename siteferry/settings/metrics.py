"""What `metrics` of the settings may say: where Prometheus is answered, and who may ask."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field, PrivateAttr

from siteferry.settings.references import CredentialReference
from siteferry.settings.values import HiddenText, LocalPath, Part, wrong

DEFAULT_LISTEN = "127.0.0.1:9808"
_LISTEN = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[\w.-]+)):(?P<port>\d{1,5})")


def split_listen(text: str) -> tuple[str, int] | None:
    """Host and port of `HOST:PORT` or `[IPV6]:PORT`; None where it is neither."""
    found = _LISTEN.fullmatch(text)
    if found is None or not 1 <= int(found["port"]) <= 65535:
        return None
    return found["v6"] or found["host"], int(found["port"])


def _listen(value: Any) -> Any:
    if split_listen(value) is None:
        raise wrong("must be HOST:PORT, such as 127.0.0.1:9808 or [::1]:9808")
    return value


class MetricsSettings(Part):
    """Metrics for Prometheus, which `siteferry beat` tells."""

    enabled: bool = True
    listen: Annotated[str, AfterValidator(_listen)] = Field(
        default=DEFAULT_LISTEN, description="HOST:PORT; other than loopback only with a token"
    )
    token: HiddenText | None = Field(
        default=None,
        description="what Prometheus has to show; better ${VAR}, ${credential:metrics/TOKEN} or "
        "`token_file`",
    )
    token_file: LocalPath | None = Field(
        default=None, description="a file that holds the token and nothing else"
    )
    cert_file: LocalPath | None = Field(
        default=None, description="PEM: our certificate and its chain; then it is https"
    )
    key_file: LocalPath | None = Field(
        default=None, description="PEM: its key, where it does not stand in `cert_file`"
    )
    _token_reference: CredentialReference | None = PrivateAttr(default=None)
    _token_unset: str | None = PrivateAttr(default=None)

    @property
    def token_reference(self) -> CredentialReference | None:
        """Where the token is kept; `siteferry.credentials.resolve_metrics_token` asks for it."""
        return self._token_reference

    @property
    def token_unset(self) -> str | None:
        """Which variable of the environment is missing for the token; None: none is."""
        return self._token_unset
