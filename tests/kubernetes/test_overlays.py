"""Every overlay builds, and so does whatever else can be put together of the components; Kubernetes
knows every field of it, and what refers to something finds it."""

from __future__ import annotations

import copy
import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest

from tests.installation import REPOSITORY
from tests.kubernetes import keda
from tests.kubernetes.laid_out import data_of
from tests.kubernetes.manifests import (
    COMPONENTS,
    FOLDER,
    MADE_BY_HAND,
    NAMESPACE,
    OVERLAYS,
    Object,
    combination,
    new_secrets,
    objects_in,
    of_kind,
    overlay,
    pods_of,
    rendered,
)

OLDEST, NEWEST = "1.31", "1.37"
"""docs/kubernetes.md names the oldest; the newest is the one that kubernetes-validate carries."""

EVERY = pytest.mark.parametrize("name", OVERLAYS)


def check(found: Object, version: str) -> None:
    """
    Raises:
        Exception: the version does not know the object, or a field of it.
    """
    if found["apiVersion"].startswith("keda.sh/"):
        keda.check(found)
    else:
        kubernetes_validate.validate(found, version, strict=True)


@EVERY
@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_kubernetes_knows_every_field_of_every_overlay(name: str, version: str) -> None:
    for found in overlay(name):
        check(found, version)


@pytest.mark.parametrize("file", ["namespace.yaml", "workspaces-pod.yaml"])
def test_kubernetes_knows_every_field_of_what_stands_alone(file: str) -> None:
    for found in objects_in((FOLDER / file).read_text()):
        check(found, NEWEST)


def test_kubernetes_knows_every_field_of_the_secrets() -> None:
    for found in new_secrets():
        check(found, NEWEST)


def combinations() -> list[tuple[str, ...]]:
    """Each choice with each other one; KEDA only where Redis is in the cluster."""
    choices = itertools.product(
        ["redis-in-cluster", "external-redis"],
        ["secrets-by-file", "secrets-by-environment", "credential-store"],
        [("beat",), ("cronjob",), ("beat", "flower"), ("cronjob", "flower")],
        [(), ("keda",)],
    )
    return [
        (redis, secrets, *clock, *scaling)
        for redis, secrets, clock, scaling in choices
        if redis == "redis-in-cluster" or not scaling
    ]


def test_whatever_is_put_together_is_known_and_complete(tmp_path: Path) -> None:
    tried: set[str] = set()
    for components in combinations():
        tried.update(components)
        objects = combination(tmp_path / "k8s", components)
        for found in objects:
            check(found, NEWEST)
        assert_complete(objects)
        ours = {pod.container["image"] for pod in pods_of(objects) if pod.component != "redis"}
        # Where an overlay names none, no registry is asked for one.
        assert {image.partition("/")[0] for image in ours} == {"siteferry.invalid"}
    assert tried == set(COMPONENTS)


@EVERY
def test_what_an_overlay_refers_to_is_there(name: str) -> None:
    assert_complete(overlay(name))


def assert_complete(objects: Sequence[Object]) -> None:
    """All that pods, Services, budgets and scalers name is in the objects or made beside them."""
    there = {(found["kind"], found["metadata"]["name"]) for found in objects}
    there |= {("Secret", found["metadata"]["name"]) for found in new_secrets_once()}
    there |= MADE_BY_HAND
    for pod in pods_of(objects):
        named = {("ServiceAccount", pod.spec["serviceAccountName"])}
        for volume in pod.spec["volumes"]:
            if "configMap" in volume:
                named.add(("ConfigMap", volume["configMap"]["name"]))
            if "secret" in volume:
                named.add(("Secret", volume["secret"]["secretName"]))
            if "persistentVolumeClaim" in volume:
                claim = volume["persistentVolumeClaim"]["claimName"]
                named.add(("PersistentVolumeClaim", claim))
        for source in pod.container.get("envFrom", []):
            if "configMapRef" in source:
                named.add(("ConfigMap", source["configMapRef"]["name"]))
            if "secretRef" in source:
                named.add(("Secret", source["secretRef"]["name"]))
        for variable in pod.container.get("env", []):
            if "valueFrom" in variable:
                named.add(("Secret", variable["valueFrom"]["secretKeyRef"]["name"]))
        assert named - there == set(), pod.owner
        volumes = {volume["name"] for volume in pod.spec["volumes"]}
        claimed = {claim["metadata"]["name"] for claim in claims_of(objects, pod.owner)}
        mounted = [mount["name"] for mount in pod.container["volumeMounts"]]
        assert set(mounted) == volumes | claimed, pod.owner
        assert len(mounted) == len(set(mounted))
    labels = [pod.labels for pod in pods_of(objects)]
    for service in of_kind(objects, "Service").values():
        assert any(service["spec"]["selector"].items() <= of_pod.items() for of_pod in labels)
    for budget in of_kind(objects, "PodDisruptionBudget").values():
        selected = budget["spec"]["selector"]["matchLabels"]
        assert any(selected.items() <= of_pod.items() for of_pod in labels)
    for secret, key in keys_named(objects):
        assert key in data_of(new_secrets_once(), "Secret", secret), (secret, key)
    for scaled in of_kind(objects, "ScaledObject").values():
        assert ("Deployment", scaled["spec"]["scaleTargetRef"]["name"]) in there
        for trigger in scaled["spec"]["triggers"]:
            assert ("TriggerAuthentication", trigger["authenticationRef"]["name"]) in there


def keys_named(objects: Sequence[Object]) -> Iterator[tuple[str, str]]:
    """Secrets and the keys of them that are asked for by name."""
    for pod in pods_of(objects):
        for variable in pod.container.get("env", []):
            if "valueFrom" in variable:
                reference = variable["valueFrom"]["secretKeyRef"]
                yield reference["name"], reference["key"]
    for authentication in of_kind(objects, "TriggerAuthentication").values():
        for reference in authentication["spec"]["secretTargetRef"]:
            yield reference["name"], reference["key"]


def test_a_key_that_no_secret_has_is_found() -> None:
    objects = copy.deepcopy(overlay("keda"))
    assert_complete(objects)
    (authentication,) = of_kind(objects, "TriggerAuthentication").values()
    authentication["spec"]["secretTargetRef"][0]["key"] = "user"
    with pytest.raises(AssertionError, match="siteferry-redis-keda"):
        assert_complete(objects)


def claims_of(objects: Sequence[Object], owner: str) -> list[Object]:
    kind, _, name = owner.partition("/")
    return list(of_kind(objects, kind)[name]["spec"].get("volumeClaimTemplates", []))


_SECRETS: list[Object] = []


def new_secrets_once() -> list[Object]:
    if not _SECRETS:
        _SECRETS.extend(new_secrets())
    return _SECRETS


@EVERY
def test_an_overlay_is_of_one_namespace_and_says_whose_its_objects_are(name: str) -> None:
    for found in overlay(name):
        metadata = found["metadata"]
        assert metadata["namespace"] == NAMESPACE
        if found["kind"] not in ("ConfigMap", "NetworkPolicy"):
            assert metadata["labels"]["app.kubernetes.io/part-of"] == "siteferry"
    for pod in pods_of(overlay(name)):
        # The policy that forbids everything selects by it.
        assert pod.labels["app.kubernetes.io/part-of"] == "siteferry"


@EVERY
def test_no_secret_is_in_an_overlay(name: str) -> None:
    """So nobody deploys the password of an example."""
    assert of_kind(overlay(name), "Secret") == {}


RELEASE = r"\d+\.\d+\.\d+(-alpine)?"


def test_every_image_is_of_one_release() -> None:
    """A tag that moves is on each node what it meant when that node has fetched it; and an older
    Redis does not read what a newer one has written."""
    alone = objects_in((FOLDER / "workspaces-pod.yaml").read_text())
    pods = [pod for name in OVERLAYS for pod in pods_of(overlay(name))]
    images = {pod.container["image"] for pod in [*pods, *pods_of(alone)]}
    assert len(images) == 2
    for image in images:
        assert re.fullmatch(RELEASE, image.rpartition(":")[2]), image
    (redis,) = (image for image in images if image.startswith("redis:"))
    # docs/kubernetes.md shows how another one is chosen.
    assert redis.partition(":")[2] in (REPOSITORY / "docs/kubernetes.md").read_text()


def test_two_runs_of_the_script_have_no_password_in_common() -> None:
    first, second = (
        {value for found in new_secrets() for value in found["stringData"].values()}
        for _ in range(2)
    )
    names = {value for value in first & second if value.startswith("siteferry-")}
    assert first & second == names
    assert all(len(value) == 48 for value in first - names if "\n" not in value)


def test_the_certificate_of_an_authority_stands_beside_each_password(tmp_path: Path) -> None:
    authority = tmp_path / "authority.pem"
    authority.write_text("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")
    given = [found["stringData"] for found in new_secrets(str(authority))]
    clients = [data for data in given if "username" in data]
    assert len(clients) == 6
    assert {data["ca.pem"] for data in clients} == {authority.read_text()}
    assert all("ca.pem" not in data for data in given if "username" not in data)


def test_what_the_autoscaler_of_keda_is_told_is_known_to_kubernetes() -> None:
    (scaled,) = of_kind(overlay("keda"), "ScaledObject").values()
    check(keda.as_autoscaler(scaled), NEWEST)


def test_a_field_that_does_not_exist_is_found() -> None:
    objects = overlay("keda")
    worker = copy.deepcopy(of_kind(objects, "Deployment")["siteferry-worker"])
    check(worker, NEWEST)
    worker["spec"]["template"]["spec"]["terminationGraceSeconds"] = 40
    with pytest.raises(Exception, match="terminationGraceSeconds"):
        check(worker, NEWEST)
    scaled = copy.deepcopy(of_kind(objects, "ScaledObject")["siteferry-worker"])
    check(scaled, NEWEST)
    scaled["spec"]["triggers"][0]["metadata"]["listLenght"] = "8"
    with pytest.raises(jsonschema.ValidationError, match="listLenght"):
        check(scaled, NEWEST)


def test_the_settings_for_a_redis_outside_differ_in_its_authority_alone() -> None:
    base = (FOLDER / "base/siteferry.yaml").read_text().splitlines()
    outside = (FOLDER / "components/external-redis/siteferry.yaml").read_text().splitlines()
    assert [line for line in base if line not in outside] == []
    added = [line.strip() for line in outside if line not in base]
    assert [line for line in added if not line.startswith("#")] == [
        "ca_file: /run/secrets/redis/ca.pem"
    ]


def test_other_settings_make_other_pods(tmp_path: Path) -> None:
    """Settings are read once, so the name of the ConfigMap has to change with them."""
    components = ("redis-in-cluster", "secrets-by-file", "beat")
    before = of_kind(combination(tmp_path / "a", components), "Deployment")["siteferry-worker"]
    # A second copy, with one line more.
    combination(tmp_path / "b", components)
    settings = tmp_path / "b/base/siteferry.yaml"
    settings.write_text(settings.read_text() + "worker: {concurrency: 4}\n")
    rendered.cache_clear()
    text = rendered(tmp_path / "b/overlays" / "-".join(components))
    after = of_kind(objects_in(text), "Deployment")["siteferry-worker"]
    assert before["spec"]["template"] != after["spec"]["template"]
