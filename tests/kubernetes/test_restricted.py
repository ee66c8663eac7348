"""Every pod keeps to the profile `restricted`, and to what siteferry asks beyond it."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.kubernetes.manifests import FOLDER, OVERLAYS, Pod, objects_in, overlay, pod_of, pods_of
from tests.kubernetes.profile import violations


def every_pod() -> list[Pod]:
    alone = objects_in((FOLDER / "workspaces-pod.yaml").read_text())
    found = [pod for name in OVERLAYS for pod in pods_of(overlay(name))]
    return [*found, *pods_of(alone)]


def test_the_profile_restricted_admits_every_pod() -> None:
    pods = every_pod()
    assert {pod.component for pod in pods} == {
        *("worker", "beat", "flower", "redis", "import", "workspaces")
    }
    assert [(pod.owner, violations(pod.spec)) for pod in pods if violations(pod.spec)] == []


def test_every_pod_is_closed_beyond_that() -> None:
    for pod in every_pod():
        assert pod.container["securityContext"]["readOnlyRootFilesystem"] is True, pod.owner
        assert pod.spec["automountServiceAccountToken"] is False
        # Variables of the Services would begin with SITEFERRY_, too.
        assert pod.spec["enableServiceLinks"] is False
        own = pod.spec["securityContext"]
        expected = 10002 if pod.component == "redis" else 10001
        assert {own["runAsUser"], own["runAsGroup"], own["fsGroup"]} == {expected}
        resources = pod.container["resources"]
        assert {"cpu", "memory"} <= resources["requests"].keys()
        assert "memory" in resources["limits"]


def test_what_is_mounted_can_be_written_only_where_it_must() -> None:
    """Secrets, configuration and, for workers, the workspaces are read."""
    writable = {
        (pod.component, mount["mountPath"])
        for pod in every_pod()
        for mount in pod.container["volumeMounts"]
        if not mount.get("readOnly")
    }
    assert writable == {
        *((component, "/tmp") for component in ("worker", "beat", "flower", "import")),
        *((name, "/var/lib/siteferry") for name in ("worker", "beat", "flower", "import")),
        *(("worker", "/run/siteferry"), ("beat", "/run/siteferry"), ("redis", "/data")),
        *(("workspaces", "/tmp"), ("workspaces", "/srv/workspaces")),
    }


def test_secrets_are_mounted_for_their_user_and_group_alone() -> None:
    for pod in every_pod():
        for volume in pod.spec["volumes"]:
            source = volume.get("secret") or volume.get("projected")
            assert source is None or source["defaultMode"] == 0o440, (pod.owner, volume["name"])


def changed(spec: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy in which the dotted path of the pod, or of its container, has this value."""
    copied = copy.deepcopy(spec)
    *parents, last = path.split(".")
    part = copied
    for name in parents:
        part = part["containers"][0] if name == "container" else part[name]
    if value is None:
        del part[last]
    else:
        part[last] = value
    return copied


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("securityContext.runAsNonRoot", None),
        ("securityContext.runAsUser", 0),
        ("securityContext.seccompProfile", None),
        ("securityContext.seccompProfile", {"type": "Unconfined"}),
        ("hostNetwork", True),
        ("volumes", [{"name": "x", "hostPath": {"path": "/"}}]),
        ("container.securityContext.allowPrivilegeEscalation", None),
        ("container.securityContext.capabilities", {"drop": ["NET_RAW"]}),
        ("container.securityContext.capabilities", {"drop": ["ALL"], "add": ["SYS_ADMIN"]}),
        ("container.securityContext.privileged", True),
        ("container.securityContext.runAsNonRoot", False),
        ("container.ports", [{"containerPort": 80, "hostPort": 80}]),
    ],
)
def test_the_check_finds_what_the_profile_forbids(path: str, value: object) -> None:
    spec = pod_of(overlay("redis-in-cluster"), "worker").spec
    assert violations(spec) == []
    assert violations(changed(spec, path, value)) != []
