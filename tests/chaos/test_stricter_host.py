"""A host that admits four connections while the configuration says eight, and all the rest."""

from __future__ import annotations

import random
import re

import pytest

from tests.chaos.aftermath import check_all
from tests.chaos.conftest import ADMITTED, Scene
from tests.chaos.disturbances import Disturbances
from tests.chaos.mode import MODE, MOST_CONNECTIONS

_REFUSED = re.compile(r"the host admits no more.*?others=(\d+)")


@pytest.mark.slow
@pytest.mark.needs_root
@pytest.mark.timeout(400)
def test_a_host_that_admits_four_of_eight_is_learned_while_everything_goes_wrong(
    strict_scene: Scene, dice: random.Random
) -> None:
    scene = strict_scene
    source, live = scene.fill("rough")
    with Disturbances(MODE, dice, scene.fleet, scene.redis, scene.server) as disturbances:
        rough = scene.installation.run("import", "rough", "--json", "--quiet", timeout=350)
    happened = disturbances.happened
    refused = [int(others) for others in _REFUSED.findall(scene.fleet.log())]
    print(  # noqa: T201  # the figures, shown with -s
        f"{MODE.files} files, {ADMITTED} of {MOST_CONNECTIONS} connections admitted: "
        f"{rough.json['seconds']:.1f} s; {happened}; refused beside {refused}"
    )
    assert rough.code == 0, rough.output
    check_all(scene, rough.json, live, source, MODE.files)
    assert len(happened.kills) >= MODE.least_kills
    assert len(happened.redis_restarts) == MODE.redis_restarts
    # Each refusal is a connection more than those that were there.
    assert refused
    assert max(refused) <= ADMITTED
    assert 0 < happened.most_connections <= ADMITTED + 1
    assert _ceilings(scene) == {str(ADMITTED)}


def _ceilings(scene: Scene) -> set[str]:
    """The limits that stand in the ledger."""
    client, keys = scene.ledger.client, scene.ledger.keys
    found = client.scan_iter(keys.limits_of_account("*").replace("account:", ""), count=1000)
    return {c for key in found if (c := client.hget(key, "ceiling")) is not None}
