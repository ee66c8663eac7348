"""The profile `restricted` of the Pod Security Standards, as Kubernetes 1.37 documents it
(https://kubernetes.io/docs/concepts/security/pod-security-standards/), with the profile `baseline`
that it contains. Only a cluster's own check decides; this one finds what that would find.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
_PROFILES = ("RuntimeDefault", "Localhost")
_LISTS = ("initContainers", "containers", "ephemeralContainers")


def violations(spec: dict[str, Any]) -> list[str]:
    """What the profile forbids in a pod's `spec`, each as one line; none where all is well."""
    return [*_of_pod(spec), *(line for name in _LISTS for line in _of_containers(spec, name))]


def _of_pod(spec: dict[str, Any]) -> Iterator[str]:
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(key):
            yield key
    for volume in spec.get("volumes", []):
        kinds = set(volume) - {"name"}
        if not kinds <= VOLUMES:
            yield f"volume {volume['name']}: {', '.join(sorted(kinds - VOLUMES))}"
    own = spec.get("securityContext", {})
    if own.get("runAsUser") == 0:
        yield "runAsUser 0"
    if own.get("sysctls"):
        yield "sysctls"
    if own.get("seccompProfile", {}).get("type", "RuntimeDefault") not in _PROFILES:
        yield "seccompProfile"


def _of_containers(spec: dict[str, Any], name: str) -> Iterator[str]:
    pod = spec.get("securityContext", {})
    for container in spec.get(name, []):
        own = container.get("securityContext", {})
        where = f"{name} {container['name']}:"
        if own.get("privileged"):
            yield f"{where} privileged"
        if own.get("allowPrivilegeEscalation") is not False:
            yield f"{where} allowPrivilegeEscalation"
        if "ALL" not in own.get("capabilities", {}).get("drop", []):
            yield f"{where} capabilities are not dropped"
        if set(own.get("capabilities", {}).get("add", [])) - {"NET_BIND_SERVICE"}:
            yield f"{where} capabilities are added"
        if own.get("runAsNonRoot", pod.get("runAsNonRoot")) is not True:
            yield f"{where} runAsNonRoot"
        if own.get("runAsUser") == 0:
            yield f"{where} runAsUser 0"
        if own.get("seccompProfile", pod.get("seccompProfile", {})).get("type") not in _PROFILES:
            yield f"{where} seccompProfile"
        if own.get("procMount", "Default") != "Default":
            yield f"{where} procMount"
        if any("hostPort" in port for port in container.get("ports", [])):
            yield f"{where} hostPort"
        for moment in ("postStart", "preStop"):
            if "host" in container.get("lifecycle", {}).get(moment, {}).get("httpGet", {}):
                yield f"{where} {moment} asks a host"
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            for way in ("httpGet", "tcpSocket"):
                if "host" in container.get(probe, {}).get(way, {}):
                    yield f"{where} {probe} asks a host"
