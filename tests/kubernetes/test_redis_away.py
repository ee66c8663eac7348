"""What pods do that start while Redis is away: as after the loss of its node."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from siteferry.errors import ConfigurationError, CredentialError, LedgerUnreachable
from siteferry.settings import Settings
from tests.holdings import wait_until
from tests.kubernetes.manifests import Object, new_secrets, of_kind, overlay
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


def test_the_job_is_tried_again_until_a_human_may_have_brought_redis_back(
    ports: PortBlock, tmp_path: Path
) -> None:
    changes = {
        REDIS_IN_THE_CLUSTER: f"{HOST}:{ports.control}",
        "username: ${REDIS_USERNAME}": "username: ${REDIS_USERNAME}\n  patience_seconds: 0",
    }
    website = {"ftp": {"host": "ftp.example.com", "remote_dir": "/"}}
    websites: Object = {
        "kind": "ConfigMap",
        "metadata": {"name": "siteferry-websites"},
        "data": {"example.yaml": json.dumps(website)},
    }
    objects = [*overlay("cronjob"), *new_secrets(), websites]
    namespace = Namespace(objects, tmp_path, tmp_path, changes)
    job = namespace.laid_out("import", "job")
    done = namespace.exec_in(job, *job.pod.container["args"])
    spec = of_kind(objects, "CronJob")["siteferry-import"]["spec"]["jobTemplate"]["spec"]
    # The first rule that fits counts.
    drained, to_be_mended = spec["podFailurePolicy"]["rules"]
    assert drained["action"] == "Ignore"
    assert done.returncode == LedgerUnreachable.exit_code, done.stderr
    assert to_be_mended["onExitCodes"]["values"] == [
        ConfigurationError.exit_code,
        CredentialError.exit_code,
    ]
    # DefaultJobPodFailureBackOff and MaxJobPodFailureBackOff of Kubernetes' controller of jobs.
    waits = [min(10 * 2**number, 600) for number in range(spec["backoffLimit"])]
    lasts = sum(waits) + Settings().redis.patience_seconds * (len(waits) + 1)
    assert 45 * 60 < lasts < spec["activeDeadlineSeconds"] - 60
