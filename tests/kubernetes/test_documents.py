"""docs/kubernetes.md and the example for Prometheus speak of what the manifests have."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

from ruamel.yaml import YAML

from tests.conftest import unavailable
from tests.installation import REPOSITORY
from tests.kubernetes import keda
from tests.kubernetes.manifests import (
    FOLDER,
    MADE_BY_HAND,
    OVERLAYS,
    Object,
    new_secrets,
    objects_in,
    of_kind,
    overlay,
    pod_of,
    pods_of,
    rendered,
)
from tests.kubernetes.reach import PodThere, reaches
from tests.kubernetes.test_overlays import NEWEST, OLDEST, assert_complete, check, combinations
from tests.servers.binaries import find_binary

TEXT = (REPOSITORY / "docs/kubernetes.md").read_text()
SCRAPE = REPOSITORY / "config/prometheus/scrape-kubernetes.yml"


def written_down(folder: Path, name: str) -> list[Object]:
    """What an overlay of the document makes, in a copy of the repository's."""
    blocks = re.findall(r"^```yaml\n# k8s/(\S+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    shutil.copytree(FOLDER, folder / "k8s")
    file = folder / "k8s/overlays" / name / "kustomization.yaml"
    file.parent.mkdir()
    file.write_text(dict(blocks)[f"overlays/{name}/{file.name}"])
    objects = objects_in(rendered(file.parent))
    for found in objects:
        check(found, NEWEST)
    assert_complete(objects)
    return objects


def test_the_overlay_of_ones_own_builds(tmp_path: Path) -> None:
    objects = written_down(tmp_path, "ours")
    assert of_kind(objects, "Deployment")["siteferry-worker"]["spec"]["replicas"] == 4
    claim = of_kind(objects, "PersistentVolumeClaim")["siteferry-workspaces"]
    assert claim["spec"]["storageClassName"] == "nfs"
    (data,) = of_kind(objects, "StatefulSet")["siteferry-redis"]["spec"]["volumeClaimTemplates"]
    assert data["spec"]["storageClassName"] == "ssd"
    accounts = of_kind(objects, "ServiceAccount")
    assert {pod.spec["serviceAccountName"] for pod in pods_of(objects)} == set(accounts)
    for account in accounts.values():
        assert account["imagePullSecrets"] == [{"name": "registry"}]
    (ours,) = {pod.container["image"] for pod in pods_of(objects) if pod.component != "redis"}
    assert ours == "registry.example.com/siteferry:0.1.0"


def test_the_overlay_for_a_redis_of_ones_own_reaches_it(tmp_path: Path) -> None:
    objects = written_down(tmp_path, "our-redis")
    (environment,) = (
        found["data"]
        for name, found in of_kind(objects, "ConfigMap").items()
        if name.startswith("siteferry-environment")
    )
    url = urlsplit(environment["SITEFERRY_REDIS_URL"])
    assert url.scheme == "rediss"
    assert url.port is not None
    worker = PodThere(pod_of(objects, "worker").labels)
    assert reaches(objects, worker, "203.0.113.20", url.port)
    assert not reaches(objects, PodThere(pod_of(objects, "beat").labels), "192.0.2.10", 6379)


def test_the_users_for_a_redis_of_ones_own_are_in_the_secret_that_is_named() -> None:
    (secret, key) = re.findall(r"get secret (\S+) -o jsonpath='{\.data\.(\S+)}'", TEXT)[0]
    made = {found["metadata"]["name"]: found["stringData"] for found in new_secrets()}
    users = made[secret][key.replace("\\.", ".")]
    assert [line.split()[0] for line in users.splitlines()] == ["user"] * len(users.splitlines())
    # Nothing of what runs with a Redis outside mounts it.
    assert all(secret not in str(pod.spec) for pod in pods_of(overlay("external-redis")))


def test_the_table_has_every_overlay_with_what_it_is_made_of() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \| .* \| .* \| (.*) \| (.*) \|$", TEXT, re.MULTILINE)
    told = {name: (starts, besides) for name, starts, besides in rows}
    assert sorted(told) == OVERLAYS
    for name, (starts, besides) in told.items():
        there = {pod.component for pod in pods_of(overlay(name))}
        assert ("beat" in there) == (starts == "`siteferry beat`"), name
        assert ("import" in there) == (starts == "a CronJob")
        assert ("flower" in there) == ("Flower" in besides)
        assert bool(of_kind(overlay(name), "ScaledObject")) == ("KEDA" in besides)


def test_every_object_that_is_named_exists() -> None:
    there = {
        (found["kind"].lower(), found["metadata"]["name"])
        for name in OVERLAYS
        for found in [*overlay(name), *new_secrets()]
    }
    there |= {(kind.lower(), name) for kind, name in MADE_BY_HAND}
    there.add(("pod", "siteferry-workspaces"))
    named = re.findall(r"\b(deployment|statefulset|service|pod)/(siteferry-[a-z-]+)", TEXT)
    named += re.findall(r"\b(secret|configmap) (siteferry-[a-z-]+)", TEXT)
    assert len(named) > 8
    assert set(named) - there == set()
    # The names of ConfigMaps end in a hash.
    hashed = {name for kind, name in there if kind == "configmap"}
    names = {name for _, name in there} | {name.rpartition("-")[0] for name in hashed}
    for name in re.findall(r"`(siteferry-[a-z-]+)`", TEXT):
        assert name in names, name


def test_every_alert_that_is_named_exists() -> None:
    alerts = set(re.findall(r"- alert: (\w+)", SCRAPE.with_name("alerts.yml").read_text()))
    named = set(re.findall(r"`(Siteferry\w+)`", TEXT))
    assert named
    assert named <= alerts


def test_the_table_of_secrets_has_every_secret_with_its_keys() -> None:
    section = TEXT.partition("## Secrets\n")[2].partition("\n### ")[0]
    rows = re.findall(r"^\| (`.*?) \| (.*?) \|", section, re.MULTILINE)
    names = [name for cell, _ in rows for name in re.findall(r"`(.*?)`", cell)]
    made = {found["metadata"]["name"]: found["stringData"] for found in new_secrets()}
    assert sorted(names) == sorted([*made, "siteferry-credentials"])
    for cell, keys in rows:
        for name in set(re.findall(r"`(.*?)`", cell)) & set(made):
            if keys != "the same":
                assert set(made[name]) <= set(re.findall(r"`(.*?)`", keys))


def test_figures_are_those_of_the_tests() -> None:
    assert f"all {len(combinations())} choices of components" in TEXT
    assert f"Kubernetes {OLDEST} and {NEWEST}" in TEXT
    assert f"Kubernetes {OLDEST} or later" in TEXT
    component = (FOLDER / "components/keda/kustomization.yaml").read_text()
    for text in (TEXT, component):
        assert re.findall(r"KEDA (\S+) or later", text) == [keda.OLDEST]


def test_prometheus_finds_the_pods_of_the_scheduler() -> None:
    (job,) = YAML(typ="safe").load(SCRAPE)["scrape_configs"]
    (alone,) = YAML(typ="safe").load(SCRAPE.with_name("scrape.yml"))["scrape_configs"]
    # Alerts ask for the job by its name.
    assert job["job_name"] == alone["job_name"]
    service = of_kind(overlay("redis-in-cluster"), "Service")["siteferry-metrics"]
    (port,) = service["spec"]["ports"]
    keeping = job["relabel_configs"][0]
    assert keeping["regex"] == f"{service['metadata']['name']};{port['name']}"
    (discovery,) = job["kubernetes_sd_configs"]
    assert discovery["namespaces"]["names"] == [service["metadata"]["namespace"]]


def test_promtool_finds_nothing_wrong_in_it(tmp_path: Path) -> None:
    """Debian builds Prometheus without the discovery of Kubernetes: that part is left out."""
    promtool = find_binary("promtool", "prometheus")
    if promtool is None:
        unavailable("promtool is not here: tests/servers/install.sh")
    document = YAML(typ="safe").load(SCRAPE)
    del document["scrape_configs"][0]["kubernetes_sd_configs"]
    file = tmp_path / "prometheus.yml"
    file.write_text(json.dumps(document))
    done = subprocess.run(
        [promtool.path, "check", "config", "--syntax-only", file],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
