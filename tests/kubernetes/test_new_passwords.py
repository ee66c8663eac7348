"""`k8s/new-secrets.sh | kubectl replace -f -` while a worker and Redis run, and what follows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.holdings import wait_until
from tests.kubernetes.manifests import new_secrets, overlay
from tests.kubernetes.pod_processes import (
    BESIDE,
    REDIS_IN_THE_CLUSTER,
    Namespace,
    RedisPod,
    redis_pod,
)
from tests.servers.ports import HOST

REFUSED = 7
REFUSAL = "invalid username-password pair"


@pytest.mark.slow
def test_who_runs_goes_on_and_who_starts_is_refused_until_redis_is_started_again(
    tmp_path: Path,
) -> None:
    with redis_pod(new_secrets(), tmp_path) as redis:
        with namespace(redis, tmp_path / "before").running("worker") as worker:
            worker.wait_until_ready()
            redis.rotate()
            after = namespace(redis, tmp_path / "after")
            worker.laid.mount(after.objects)
            assert worker.is_well("readinessProbe")
            with after.running("worker") as too_early:
                assert too_early.process.wait(60) == REFUSED
                assert REFUSAL in too_early.log.read_text()
            assert worker.is_well("readinessProbe")

            redis.restart()
            wait_until(lambda: REFUSAL in worker.log.read_text(), "it does not tell the refusal")
            # It may have been answered a moment before.
            wait_until(lambda: not worker.is_well("readinessProbe"), "it is taken to be ready")
            assert worker.is_well("livenessProbe")
        with namespace(redis, tmp_path / "new").running("worker") as new:
            new.wait_until_ready()


def namespace(redis: RedisPod, folder: Path) -> Namespace:
    """With the Secrets as they are now."""
    workspaces = folder / "workspaces"
    workspaces.mkdir(parents=True)
    objects = [*overlay("redis-in-cluster"), *redis.secrets, *BESIDE]
    changes = {REDIS_IN_THE_CLUSTER: f"{HOST}:{redis.port}"}
    return Namespace(objects, folder, workspaces, changes)
