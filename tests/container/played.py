"""The manifests of `k8s/` as `podman kube play` takes them, and what a kubelet would do besides.

podman takes ConfigMaps, Secrets, claims, Deployments (one pod of each) and Jobs as they stand, and
passes over the kinds that it does not know. `for_podman` changes these:

- a StatefulSet is a Pod with the name of its Service, and a claim for each of its templates;
- a CronJob is the Job that it would create;
- an `emptyDir` on disk has the pod's name before its own: podman makes one volume of each name.

And `Played.start` does what podman leaves out, `fsGroup`: before the container's command runs, its
volumes get that group, as from a kubelet.
"""

from __future__ import annotations

import copy
import json
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.container.podman import Podman
from tests.kubernetes.manifests import Object, Pod, pods_of

NETWORK = "siteferry"

_WITHIN_SECONDS = 60.0
_POLL_SECONDS = 0.2


def for_podman(objects: Sequence[Object]) -> list[Object]:
    """Changed as the module's docstring says; `objects` stay as they are."""
    changed = [new for found in copy.deepcopy(objects) for new in _known_kinds(found)]
    for found, pod in _pods(changed):
        own = {
            volume["name"]
            for volume in pod.spec["volumes"]
            if "emptyDir" in volume and volume["emptyDir"].get("medium") != "Memory"
        }
        for named in (*pod.spec["volumes"], *pod.spec["containers"][0]["volumeMounts"]):
            if named["name"] in own:
                named["name"] = f"{found['metadata']['name']}-{named['name']}"
    # What others refer to comes first.
    return sorted(changed, key=lambda found: found["kind"] not in ("ConfigMap", "Secret"))


def _known_kinds(found: Object) -> Iterator[Object]:
    name, spec = found["metadata"]["name"], found.get("spec", {})
    if found["kind"] == "CronJob":
        job = spec["jobTemplate"]
        yield {"apiVersion": "batch/v1", "kind": "Job", **job, "metadata": {"name": name}}
    elif found["kind"] == "StatefulSet":
        pod = spec["template"]
        for template in spec["volumeClaimTemplates"]:
            volume = template["metadata"]["name"]
            claim = {"name": f"{volume}-{name}-0"}
            pod["spec"]["volumes"].append(
                {"name": volume, "persistentVolumeClaim": {"claimName": claim["name"]}}
            )
            yield {"apiVersion": "v1", "kind": "PersistentVolumeClaim", **template} | {
                "metadata": claim
            }
        metadata = pod["metadata"] | {"name": spec["serviceName"]}
        yield {"apiVersion": "v1", "kind": "Pod", **pod, "metadata": metadata}
    else:
        yield found


def _pods(objects: Sequence[Object]) -> Iterator[tuple[Object, Pod]]:
    for found in objects:
        for pod in pods_of([found]):
            yield found, pod


class Played:
    """Pods by their component, each with one container."""

    def __init__(self, podman: Podman) -> None:
        self.podman = podman
        self.pods: dict[str, Pod] = {}
        self.names: dict[str, str] = {}
        podman.run("network", "create", NETWORK)

    def play(self, objects: Sequence[Object]) -> None:
        """`podman kube play`; none of them is started."""
        objects = for_podman(objects)
        text = "\n---\n".join(json.dumps(found) for found in objects)
        self.podman.run("kube", "play", "--network", NETWORK, "--start=false", "-", text=text)
        for found, pod in _pods(objects):
            self.pods[pod.component] = pod
            name = found["metadata"]["name"]
            self.names[pod.component] = name if found["kind"] == "Pod" else f"{name}-pod"

    def container(self, component: str) -> str:
        return f"{self.names[component]}-{self.pods[component].container['name']}"

    def facts(self, component: str) -> Any:
        """What podman tells of the container."""
        (found,) = json.loads(self.podman.run("inspect", self.container(component)).stdout)
        return found

    def start(self, component: str) -> None:
        """Start the pod, as a kubelet does: first its volumes, then its container."""
        # With this its mounts are there, and the command does not run yet.
        self.podman.run("container", "init", self.container(component))
        self._give_to_group(component)
        self.podman.run("pod", "start", self.names[component])

    def _give_to_group(self, component: str) -> None:
        """`fsGroup`: what is in memory and on disk belongs to the group, which may do as its owner
        may; folders pass it on."""
        facts, pod = self.facts(component), self.pods[component]
        group = pod.spec["securityContext"]["fsGroup"]
        on_disk = {mount["Destination"]: mount["Source"] for mount in facts["Mounts"]}
        in_memory = self.podman.process(facts["State"]["Pid"]) / "root"
        for mount in pod.container["volumeMounts"]:
            place = mount["mountPath"]
            if place in on_disk:
                folder = self.podman.path(on_disk[place])
            else:
                folder = in_memory / place.lstrip("/")
            for path in (folder, *folder.rglob("*")):
                _to_group(path, group)

    def wait_until_ready(self, component: str) -> None:
        """Until its readiness probe says so, asked as the manifest has it.

        Raises AssertionError, with its log, where it ends or is not ready in a minute.
        """
        deadline = time.monotonic() + _WITHIN_SECONDS
        while not self.is_ready(component):
            log = self.log(component)
            assert self.facts(component)["State"]["Running"], log
            assert time.monotonic() < deadline, log
            time.sleep(_POLL_SECONDS)

    def is_ready(self, component: str) -> bool:
        probe = self.pods[component].container["readinessProbe"]
        if "exec" in probe:
            words = probe["exec"]["command"]
        else:
            (port,) = self.pods[component].container["ports"]
            address = f"http://{self.names[component]}:{port['containerPort']}"
            asked = f"import urllib.request as u; u.urlopen('{address}{probe['httpGet']['path']}')"
            words = ["python3", "-c", asked]
        return not self.exec_in(component, *words, check=False).returncode

    def exec_in(
        self, component: str, *command: str, text: str = "", check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """As `kubectl exec --stdin POD -- COMMAND`."""
        words = ("exec", "--interactive", self.container(component), *command)
        return self.podman.run(*words, text=text, check=check)

    def ends_within(self, component: str) -> tuple[int, float]:
        """Stop the pod: the exit status of its container, and the seconds that it took."""
        begun = time.monotonic()
        # With the grace period of its manifest, after which it is killed. `podman pod stop` alone
        # takes the network away at once, before the container has ended, unlike a kubelet.
        self.podman.run("stop", self.container(component))
        seconds = time.monotonic() - begun
        self.podman.run("pod", "stop", self.names[component])
        return int(self.facts(component)["State"]["ExitCode"]), seconds

    def log(self, component: str) -> str:
        done = self.podman.run("logs", self.container(component))
        return done.stdout + done.stderr


def _to_group(path: Path, group: int) -> None:
    # By lchown and without following: what a container has made may point anywhere.
    os.chown(path, -1, group, follow_symlinks=False)
    if path.is_symlink():
        return
    mode = path.stat().st_mode & 0o7777
    path.chmod(mode | 0o2770 if path.is_dir() else mode | (mode & 0o600) >> 3)
