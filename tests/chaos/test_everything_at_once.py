"""Workers killed, Redis restarted, sessions cut, in one run: what stands in the end is exact."""

from __future__ import annotations

import random
import time

import pytest

from tests.chaos.aftermath import check_all, check_report
from tests.chaos.conftest import Scene
from tests.chaos.disturbances import Disturbances
from tests.chaos.mode import MODE, MOST_CONNECTIONS


@pytest.mark.slow
@pytest.mark.needs_root
@pytest.mark.timeout(400)
def test_killed_workers_a_restarted_redis_and_cut_sessions_change_nothing(
    scene: Scene, dice: random.Random
) -> None:
    scene.fill("calm")
    source, live = scene.fill("rough")
    begin = time.monotonic()
    calm = scene.installation.run("import", "calm", "--json", "--quiet")
    calm_seconds = time.monotonic() - begin
    assert calm.code == 0, calm.output
    check_report(calm.json, MODE.files)
    with Disturbances(MODE, dice, scene.fleet, scene.redis, scene.server) as disturbances:
        begin = time.monotonic()
        rough = scene.installation.run("import", "rough", "--json", "--quiet", timeout=300)
        rough_seconds = time.monotonic() - begin
    happened, times = disturbances.happened, rough_seconds / calm_seconds
    print(  # noqa: T201  # the figures, shown with -s
        f"{MODE.files} files: undisturbed {calm_seconds:.1f} s, disturbed {rough_seconds:.1f} s"
        f" ({times:.1f} times); {happened}"
    )
    assert rough.code == 0, rough.output
    check_all(scene, rough.json, live, source, MODE.files)
    assert 0 < happened.most_connections <= MOST_CONNECTIONS
    assert len(happened.kills) >= MODE.least_kills
    assert len(happened.cuts) >= MODE.least_cuts
    assert len(happened.redis_restarts) == MODE.redis_restarts
    if MODE.most_times is not None:
        assert times <= MODE.most_times
