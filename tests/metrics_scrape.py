"""Asks an endpoint for metrics as Prometheus does, and reads the answer."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

Series = tuple[str, frozenset[tuple[str, str]]]


@dataclass(frozen=True)
class Answer:
    """What came back. values: by name and labels."""

    code: int
    headers: Mapping[str, str]
    text: str

    @property
    def values(self) -> dict[Series, float]:
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(self.text)
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float:
        """Of `siteferry_NAME` with exactly these labels."""
        return self.values[f"siteferry_{name}", frozenset(labels.items())]

    def names(self) -> set[str]:
        return {name for name, _ in self.values}


def scrape(
    url: str,
    token: str | None = None,
    *,
    method: str = "GET",
    trusts: ssl.SSLContext | None = None,
    **headers: str,
) -> Answer:
    """One request; an answer that refuses is an answer."""
    bearer = {"Authorization": f"Bearer {token}"} if token is not None else {}
    request = urllib.request.Request(url, method=method, headers={**bearer, **headers})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=20, context=trusts) as reply:  # noqa: S310
            return Answer(reply.status, dict(reply.headers), reply.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, dict(error.headers), error.read().decode())
