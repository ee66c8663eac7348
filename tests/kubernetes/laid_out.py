"""A pod's environment and its mounted files, in a folder that takes the place of its root: so the
process of a pod can be started where no cluster is."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.installation import REPOSITORY
from tests.kubernetes.manifests import Object, Pod, of_kind

IMAGE_COMMAND = ["siteferry"]
"""What the image runs where a manifest names no command: its ENTRYPOINT."""

_PROGRAMS = {"siteferry": "siteferry", "siteferry-probe": "siteferry.health.probe"}


@dataclass(frozen=True, slots=True)
class LaidOut:
    """
    root: what is `/` for the pod.
    environment: as the container gets it, and nothing of siteferry's beside it.
    paths: where something is mounted; each has the root in front of it in all texts.
    changes: texts that are replaced besides, such as addresses that only a cluster has.
    """

    root: Path
    pod: Pod
    environment: dict[str, str]
    paths: tuple[str, ...]
    changes: Mapping[str, str]

    def command(self, probe: str | None = None) -> list[str]:
        """What the container runs, or one of its probes does, in this Python's environment."""
        container = self.pod.container
        if probe is not None:
            words = container[probe]["exec"]["command"]
        else:
            words = [*container.get("command", IMAGE_COMMAND), *container.get("args", [])]
        words = [here(word, self.root, self.paths, self.changes) for word in words]
        if words[0] in _PROGRAMS:
            words[:1] = [sys.executable, "-m", _PROGRAMS[words[0]]]
        return words

    def mount(self, objects: Sequence[Object]) -> None:
        """Show the pod what is in `objects`; again, when they have changed."""
        volumes = {volume["name"]: volume for volume in self.pod.spec["volumes"]}
        for mount in self.pod.container["volumeMounts"]:
            content = _content(volumes.get(mount["name"], {}), objects)
            if content is not None:
                written = {
                    key: here(text, self.root, self.paths, self.changes)
                    for key, text in content.items()
                }
                _put(self.root / mount["mountPath"].lstrip("/"), written)


def _put(folder: Path, files: Mapping[str, str]) -> None:
    """As a kubelet does (pkg/volume/util/atomic_writer.go): all files are others at one moment, for
    each is a link through `..data`, which is another link."""
    folder.mkdir(exist_ok=True)
    data = folder / "..data"
    before = data.resolve() if data.exists() else None
    fresh = Path(tempfile.mkdtemp(prefix="..2026_", dir=folder))
    fresh.chmod(0o755)
    for name, text in files.items():
        (fresh / name).write_text(text)
    (folder / "..data_tmp").symlink_to(fresh.name)
    (folder / "..data_tmp").replace(data)
    for link in folder.iterdir():
        if not link.name.startswith("..") and link.name not in files:
            link.unlink()
    for name in files:
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")
    if before is not None:
        shutil.rmtree(before)


def here(text: str, root: Path, paths: Sequence[str], changes: Mapping[str, str]) -> str:
    """The text with the root in front of each path, and with the changes."""
    longest_first = sorted(paths, key=len, reverse=True)
    text = re.sub("|".join(map(re.escape, longest_first)), lambda path: f"{root}{path[0]}", text)
    for old, new in changes.items():
        text = text.replace(old, new)
    return text


def lay_out(
    pod: Pod,
    objects: Sequence[Object],
    root: Path,
    *,
    changes: Mapping[str, str],
    shared: Mapping[str, Path],
) -> LaidOut:
    """Write what the pod mounts of `objects`, Secrets among them, below `root`.

    shared: folders in the place of volumes, by the volumes' names.
    """
    paths = tuple(mount["mountPath"] for mount in pod.container["volumeMounts"])
    volumes = {volume["name"]: volume for volume in pod.spec["volumes"]}
    for mount in pod.container["volumeMounts"]:
        name, folder = mount["name"], root / mount["mountPath"].lstrip("/")
        folder.parent.mkdir(parents=True, exist_ok=True)
        if name in shared:
            folder.symlink_to(shared[name])
            continue
        folder.mkdir(exist_ok=True)
        if "emptyDir" in volumes[name]:
            folder.chmod(0o2777)  # as a kubelet makes it with fsGroup
    environment = {
        name: here(value, root, paths, changes)
        for name, value in _environment(pod.container, objects).items()
    }
    clean = {k: v for k, v in os.environ.items() if not k.startswith("SITEFERRY_")}
    own = {"PYTHONPATH": str(REPOSITORY), "HOME": str(root)}
    laid = LaidOut(root, pod, {**clean, **own, **environment}, paths, changes)
    laid.mount(objects)
    return laid


def data_of(objects: Sequence[Object], kind: str, name: str) -> dict[str, str]:
    found = of_kind(objects, kind)[name]
    return dict(found["stringData"] if kind == "Secret" else found.get("data", {}))


def _content(volume: dict[str, Any], objects: Sequence[Object]) -> dict[str, str] | None:
    """What a volume of files has; None for all others."""
    if "configMap" in volume:
        return data_of(objects, "ConfigMap", volume["configMap"]["name"])
    if "secret" in volume:
        return data_of(objects, "Secret", volume["secret"]["secretName"])
    return None


def _environment(container: dict[str, Any], objects: Sequence[Object]) -> dict[str, str]:
    found: dict[str, str] = {}
    for source in container.get("envFrom", []):
        for key, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
            if key in source:
                found |= data_of(objects, kind, source[key]["name"])
    for variable in container.get("env", []):
        if "value" in variable:
            found[variable["name"]] = variable["value"]
        else:
            reference = variable["valueFrom"]["secretKeyRef"]
            data = data_of(objects, "Secret", reference["name"])
            found[variable["name"]] = data[reference["key"]]
    return found
