"""How Flower listens again after an outage of Redis."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from redis.exceptions import ConnectionError as Away

from siteferry.cli.flower_events import PAUSE_SECONDS, SteadyEvents


class Over(BaseException):
    """Ends the endless loop."""


class CeleryDouble:
    """Celery's application as far as the listener asks it: no Redis is there."""

    @contextmanager
    def connection(self) -> Iterator[Any]:
        raise Away("Error 111 connecting to redis:6379. Connection refused.")
        yield


def test_its_looks_for_redis_do_not_grow_rarer_and_an_outage_is_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    looks = itertools.count()
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if next(looks) == 30:
            raise Over

    with pytest.raises(Over):
        SteadyEvents(CeleryDouble(), sleep).run()
    assert set(pauses) == {PAUSE_SECONDS}
    assert len([r for r in caplog.records if "no events of workers" in r.getMessage()]) == 1
