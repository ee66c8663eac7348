"""Who reaches whom, by the NetworkPolicies of an overlay: what the API's documentation says of them
(https://kubernetes.io/docs/concepts/services-networking/network-policies/), for what ours use. A
cluster's network plug-in may know less.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.kubernetes.manifests import NAMESPACE, Object, of_kind

TCP = "TCP"


@dataclass(frozen=True, slots=True)
class PodThere:
    """A pod with its labels and its namespace, whose own label is its name."""

    labels: dict[str, str] = field(default_factory=dict)
    namespace: str = NAMESPACE


Peer = PodThere | str
"""A pod, or an address outside of the cluster."""


def reaches(
    objects: Sequence[Object], source: Peer, target: Peer, port: int, protocol: str = TCP
) -> bool:
    """Whether a connection is let out at its source and in at its target."""
    policies = [policy["spec"] for policy in of_kind(objects, "NetworkPolicy").values()]
    out = _allows(policies, "Egress", source, target, port, protocol)
    return out and _allows(policies, "Ingress", target, source, port, protocol)


def _allows(
    policies: Sequence[dict[str, Any]],
    direction: str,
    pod: Peer,
    peer: Peer,
    port: int,
    protocol: str,
) -> bool:
    """Whether `pod` may have the connection with `peer`; who is selected by no policy may."""
    if isinstance(pod, str) or pod.namespace != NAMESPACE:
        return True
    selecting = [
        policy
        for policy in policies
        if direction in policy["policyTypes"] and _selects(policy["podSelector"], pod.labels)
    ]
    rules = [rule for policy in selecting for rule in policy.get(direction.lower(), [])]
    side = "to" if direction == "Egress" else "from"
    return not selecting or any(
        any(_is_meant(entry, peer) for entry in rule[side])
        and any(_has_port(entry, port, protocol) for entry in rule["ports"])
        for rule in rules
    )


def _selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    assert selector.keys() <= {"matchLabels", "matchExpressions"}
    if not selector.get("matchLabels", {}).items() <= labels.items():
        return False
    for expression in selector.get("matchExpressions", []):
        assert expression["operator"] == "In"
        if labels.get(expression["key"]) not in expression["values"]:
            return False
    return True


def _is_meant(entry: dict[str, Any], peer: Peer) -> bool:
    if "ipBlock" in entry:
        return isinstance(peer, str) and _contains(entry["ipBlock"], peer)
    if isinstance(peer, str):
        return False
    if "namespaceSelector" in entry:
        of_namespace = {"kubernetes.io/metadata.name": peer.namespace}
        if not _selects(entry["namespaceSelector"], of_namespace):
            return False
    elif peer.namespace != NAMESPACE:
        return False
    return _selects(entry.get("podSelector", {}), peer.labels)


def _contains(block: dict[str, Any], text: str) -> bool:
    address = ipaddress.ip_address(text)
    inside = [
        ipaddress.ip_network(block["cidr"]),
        *map(ipaddress.ip_network, block.get("except", [])),
    ]
    return address in inside[0] and not any(address in left_out for left_out in inside[1:])


def _has_port(entry: dict[str, Any], port: int, protocol: str) -> bool:
    return entry["protocol"] == protocol and entry["port"] <= port <= entry.get(
        "endPort", entry["port"]
    )
