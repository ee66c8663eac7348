"""What pods do that start while Redis is away: as after the loss of its node."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.holdings import wait_until
from tests.kubernetes.manifests import new_secrets, overlay
from tests.kubernetes.pod_processes import BESIDE, REDIS_IN_THE_CLUSTER, Namespace, answers
from tests.servers.ports import HOST, PortBlock


@pytest.fixture
def ports() -> Iterator[PortBlock]:
    block = PortBlock()
    yield block
    block.release()


def test_flower_answers_its_probes_and_ends_when_told(ports: PortBlock, tmp_path: Path) -> None:
    changes = {
        REDIS_IN_THE_CLUSTER: f"{HOST}:{ports.control}",  # where nobody listens
        "address: 0.0.0.0": f"address: {HOST}, port: {ports.passive_first}",
    }
    objects = [*overlay("redis-in-cluster"), *new_secrets(), *BESIDE]
    with Namespace(objects, tmp_path, tmp_path, changes).running("flower") as flower:
        probes = {
            flower.laid.pod.container[probe]["httpGet"]["path"]
            for probe in ("startupProbe", "livenessProbe", "readinessProbe")
        }
        for path in probes:
            url = f"http://{HOST}:{ports.passive_first}{path}"
            wait_until(lambda url=url: answers(url), "Flower does not answer")
        wait_until(lambda: "away" in flower.log.read_text(), "it does not tell that it waits")
        assert flower.ends_within()[0] == 0
