"""KEDA's objects, as far as we use them.

Kubernetes' own schemas do not know them, so this is written down from KEDA's
CustomResourceDefinitions (`config/crd/bases` of 2.17.0, and after 2.20.2), strictly: a key that is
not here is refused. `behavior` is Kubernetes' own, of a HorizontalPodAutoscaler, and checked as
that.
"""

from __future__ import annotations

from typing import Any

import jsonschema

OLDEST = "2.17"
"""The first that knows `fallback.behavior` (KEDA 6450). Those before it also refuse any fallback
whose triggers name no `metricType`; from 2.17.0 on that of `scalingModifiers` counts in their
place."""

_TEXT = {"type": "string", "minLength": 1}
_COUNT = {"type": "integer", "minimum": 0}


def _block(required: list[str], **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


_METADATA = _block(
    ["name"], name=_TEXT, namespace=_TEXT, labels={"type": "object"}, annotations={"type": "object"}
)

# The keys of the trigger `redis`, of the scaler's documentation.
_REDIS = _block(
    ["address", "listName"],
    address={"type": "string", "pattern": r"^[a-z0-9.-]+:\d+$"},
    listName=_TEXT,
    listLength={"type": "string", "pattern": r"^\d+$"},
    activationListLength={"type": "string", "pattern": r"^\d+$"},
    databaseIndex={"type": "string", "pattern": r"^\d+$"},
    enableTLS={"enum": ["true", "false"]},
)

_SCALED_OBJECT = _block(
    ["scaleTargetRef", "triggers"],
    scaleTargetRef=_block(["name"], apiVersion=_TEXT, kind=_TEXT, name=_TEXT),
    minReplicaCount=_COUNT,
    maxReplicaCount={"type": "integer", "minimum": 1},
    pollingInterval={"type": "integer", "minimum": 1},
    cooldownPeriod=_COUNT,
    fallback=_block(
        ["failureThreshold", "replicas"],
        failureThreshold=_COUNT,
        replicas=_COUNT,
        behavior={
            "enum": [
                "static",
                "currentReplicas",
                "currentReplicasIfHigher",
                "currentReplicasIfLower",
            ]
        },
    ),
    advanced=_block(
        [],
        scalingModifiers=_block(
            ["formula", "target"],
            formula=_TEXT,
            target=_TEXT,
            activationTarget=_TEXT,
            metricType={"enum": ["AverageValue", "Value"]},
        ),
        horizontalPodAutoscalerConfig=_block([], behavior={"type": "object"}),
    ),
    triggers={
        "type": "array",
        "minItems": 1,
        "items": _block(
            ["type", "metadata", "authenticationRef"],
            type={"const": "redis"},
            name={"type": "string", "pattern": r"^[a-z_]+$"},
            metadata=_REDIS,
            authenticationRef=_block(["name"], name=_TEXT),
        ),
    },
)

_AUTHENTICATION = _block(
    ["secretTargetRef"],
    secretTargetRef={
        "type": "array",
        "items": _block(["parameter", "name", "key"], parameter=_TEXT, name=_TEXT, key=_TEXT),
    },
)

_SPECIFICATIONS = {"ScaledObject": _SCALED_OBJECT, "TriggerAuthentication": _AUTHENTICATION}


def check(found: dict[str, Any]) -> None:
    """
    Raises:
        jsonschema.ValidationError: KEDA does not know it so.
    """
    schema = _block(
        ["apiVersion", "kind", "metadata", "spec"],
        apiVersion={"const": "keda.sh/v1alpha1"},
        kind={"enum": list(_SPECIFICATIONS)},
        metadata=_METADATA,
        spec=_SPECIFICATIONS.get(found["kind"], {}),
    )
    jsonschema.validate(found, schema)


def as_autoscaler(scaled: dict[str, Any]) -> dict[str, Any]:
    """The HorizontalPodAutoscaler that KEDA makes of it, as far as `behavior` goes."""
    spec = scaled["spec"]
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": scaled["metadata"]["name"]},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment"}
            | spec["scaleTargetRef"],
            "minReplicas": spec["minReplicaCount"],
            "maxReplicas": spec["maxReplicaCount"],
            "behavior": spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"],
        },
    }
