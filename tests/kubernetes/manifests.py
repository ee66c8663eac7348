"""The manifests below `k8s/` as `kubectl kustomize` renders them, which needs no cluster."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.conftest import unavailable
from tests.installation import REPOSITORY
from tests.servers.binaries import unpacked_packages

FOLDER = REPOSITORY / "k8s"
OVERLAYS = sorted(path.parent.name for path in FOLDER.glob("overlays/*/kustomization.yaml"))
COMPONENTS = sorted(path.parent.name for path in FOLDER.glob("components/*/kustomization.yaml"))
NAMESPACE = "siteferry"
MADE_BY_HAND = {("ConfigMap", "siteferry-websites"), ("Secret", "siteferry-credentials")}
"""What docs/kubernetes.md has the operator make, for it changes without the manifests."""

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod that an object starts."""

    owner: str
    labels: dict[str, str]
    spec: dict[str, Any]

    @property
    def component(self) -> str:
        return self.labels["app.kubernetes.io/component"]

    @property
    def container(self) -> dict[str, Any]:
        """The only one that there is."""
        (found,) = self.spec["containers"]
        return dict(found)


def kubectl() -> str:
    """The program: unpacked by install.sh, for Debian 12's is too old, else the installed one."""
    unpacked = unpacked_packages() / "kubectl/usr/bin/kubectl"
    found = str(unpacked) if unpacked.exists() else shutil.which("kubectl")
    if found is None:
        unavailable("no kubectl (tests/kubernetes/install.sh unpacks it)")
    return found


@functools.cache
def rendered(folder: Path) -> str:
    """What `kubectl kustomize` prints of a folder; its cache and configuration are not used."""
    done = subprocess.run(
        [kubectl(), "kustomize", str(folder)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "KUBECONFIG": os.devnull},
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", done.stderr
    return done.stdout


def objects_in(text: str) -> list[Object]:
    return [found for found in YAML(typ="safe").load_all(StringIO(text)) if found is not None]


def overlay(name: str) -> list[Object]:
    return objects_in(rendered(FOLDER / "overlays" / name))


def combination(copy: Path, components: Sequence[str]) -> list[Object]:
    """The base with these components, in a copy of `k8s/` that is made in the folder `copy`."""
    if not copy.exists():
        shutil.copytree(FOLDER, copy)
    folder = copy / "overlays" / "-".join(components)
    folder.mkdir()
    lines = [f"  - ../../components/{name}" for name in components]
    (folder / "kustomization.yaml").write_text(
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"
        f"namespace: {NAMESPACE}\nresources: [../../base]\ncomponents:\n" + "\n".join(lines) + "\n"
    )
    return objects_in(rendered(folder))


def of_kind(objects: Sequence[Object], kind: str) -> dict[str, Object]:
    """The objects of a kind by their names."""
    return {found["metadata"]["name"]: found for found in objects if found["kind"] == kind}


def pods_of(objects: Sequence[Object]) -> Iterator[Pod]:
    for found in objects:
        spec = found.get("spec", {})
        if found["kind"] == "Pod":
            metadata = found["metadata"]
        else:
            template = spec.get("jobTemplate", {}).get("spec", spec).get("template")
            if template is None:
                continue
            metadata, spec = template["metadata"], template["spec"]
        owner = f"{found['kind']}/{found['metadata']['name']}"
        yield Pod(owner, metadata["labels"], spec)


def pod_of(objects: Sequence[Object], component: str) -> Pod:
    (found,) = (pod for pod in pods_of(objects) if pod.component == component)
    return found


def new_secrets(*arguments: str) -> list[Object]:
    """What `k8s/new-secrets.sh` prints; different ones each time."""
    done = subprocess.run(
        [FOLDER / "new-secrets.sh", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return objects_in(done.stdout)
