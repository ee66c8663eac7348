"""AWS Secrets Manager as moto serves it (a double: github.com/getmoto/moto), for the real boto3."""

from __future__ import annotations

import importlib.util
import json
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import pytest

from siteferry.credentials import CredentialBackend, open_backend
from siteferry.settings import Settings
from tests.conftest import unavailable
from tests.stores.base import Stand
from tests.stores.http_double import no_proxies

PREFIX = "siteferry/"


class AwsMotoDoubleStand(Stand):
    name: ClassVar[str] = "aws"
    double: ClassVar[str] = "moto-double"

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(folder, monkeypatch)
        for module in ("boto3", "moto.server"):
            if not _is_installed(module):
                unavailable(
                    f"{module} is not installed: pip install 'siteferry[aws]' 'moto[server]'"
                )
        clear_environment(folder, monkeypatch)
        self._server = _server()
        self.url = "http://{}:{}".format(*self._server.get_host_and_port())

    def settings(self) -> dict[str, Any]:
        return {"endpoint_url": self.url, "region": "eu-central-1", "timeout_seconds": 5}

    def open(self) -> CredentialBackend:
        return open_backend(
            "aws", Settings.model_validate({"credentials": {"aws": self.settings()}})
        )

    def client(self) -> Any:
        """boto3's own, for what an operator does."""
        import boto3

        return boto3.client(
            "secretsmanager", endpoint_url=self.url, region_name=self.settings()["region"]
        )

    # Not after a change of ours: moto 5.2 forgets AWSCURRENT's move when it makes a new version.
    def plant(self, site: str, key: str, value: str) -> None:
        client = self.client()
        try:
            kept = json.loads(client.get_secret_value(SecretId=PREFIX + site)["SecretString"])
        except client.exceptions.ResourceNotFoundException:
            client.create_secret(Name=PREFIX + site, SecretString=json.dumps({key: value}))
        else:
            text = json.dumps(kept | {key: value})
            client.put_secret_value(SecretId=PREFIX + site, SecretString=text)

    def deny(self) -> None:
        """From now on moto checks the access key, and ours is none that it has given out."""
        from moto import settings

        self.monkeypatch.setattr(settings, "INITIAL_NO_AUTH_ACTION_COUNT", 0.0)

    def disappear(self) -> None:
        _server.cache_clear()
        self._server.stop()
        self._server._server.server_close()

    def garble(self, site: str, key: str) -> None:
        client = self.client()
        text = client.get_secret_value(SecretId=PREFIX + site)["SecretString"]
        client.put_secret_value(SecretId=PREFIX + site, SecretString=text[:-2])

    def close(self) -> None:
        from moto.secretsmanager.models import secretsmanager_backends

        # moto keeps what it holds for the whole process.
        secretsmanager_backends.reset()


@cache
def _server() -> Any:
    """One for the process, until it is stopped: that takes half a second."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    return server


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # its parent is not there
        return False


def clear_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that no credentials and no profile of the machine's own are used."""
    no_proxies(monkeypatch)
    for name in ("PROFILE", "DEFAULT_PROFILE", "REGION", "DEFAULT_REGION", "SESSION_TOKEN"):
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOFTHEDOUBLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-key-of-the-double")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(folder / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(folder / "no-credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
