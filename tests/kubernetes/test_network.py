"""Who reaches whom: the policies say no to everything but what siteferry needs."""

from __future__ import annotations

import pytest

from siteferry.settings import Settings
from siteferry.settings.metrics import split_listen
from tests.kubernetes.manifests import FOLDER, objects_in, overlay, pod_of, pods_of
from tests.kubernetes.reach import PodThere, reaches

REDIS = 6379
FLOWER = Settings().flower.port
METRICS = (split_listen(Settings().metrics.listen) or ("", 0))[1]
HOST, HOST_V6 = "198.51.100.7", "2001:db8::7"
INSIDE = ("10.96.0.1", "172.20.1.1", "192.168.3.4", "100.64.0.9", "169.254.169.254", "127.0.0.1")
NAMES = PodThere({"k8s-app": "kube-dns"}, "kube-system")
STRANGER, STRANGER_HERE = PodThere({}, "default"), PodThere({"app": "else"})
"""A pod elsewhere; and one of another application in siteferry's own namespace."""


def our(overlay_name: str, component: str) -> PodThere:
    return PodThere(pod_of(overlay(overlay_name), component).labels)


CLIENTS = [
    ("redis-in-cluster", "worker"),
    ("redis-in-cluster", "beat"),
    ("redis-in-cluster", "flower"),
    ("cronjob", "import"),
]


@pytest.mark.parametrize(("name", "component"), CLIENTS)
def test_whoever_needs_redis_reaches_it_and_its_name(name: str, component: str) -> None:
    objects, pod = overlay(name), our(name, component)
    assert reaches(objects, pod, our(name, "redis"), REDIS)
    assert reaches(objects, pod, NAMES, 53, "UDP")
    assert reaches(objects, pod, NAMES, 53)
    assert not reaches(objects, pod, our(name, "redis"), 22)
    assert not reaches(objects, pod, NAMES, 9153)


def test_a_worker_reaches_hosts_at_their_control_and_passive_ports() -> None:
    objects, worker = overlay("redis-in-cluster"), our("redis-in-cluster", "worker")
    for host in (HOST, HOST_V6):
        for port in (21, 990, 1024, 2121, 49152, 65535):
            assert reaches(objects, worker, host, port), port
        for port in (22, 25, 80, 443, 1023):
            assert not reaches(objects, worker, host, port), port
        assert not reaches(objects, worker, host, 2121, "UDP")


def test_a_worker_reaches_no_private_network_and_no_metadata_service() -> None:
    objects, worker = overlay("redis-in-cluster"), our("redis-in-cluster", "worker")
    for address in (*INSIDE, "fd00::1", "fe80::1", "::1", "224.0.0.1", "255.255.255.255"):
        assert not reaches(objects, worker, address, 21), address
        assert not reaches(objects, worker, address, 50_000), address


def test_a_worker_reaches_a_store_only_where_the_logins_are_in_one() -> None:
    store = overlay("credential-store")
    assert reaches(store, our("credential-store", "worker"), HOST, 443)
    assert not reaches(store, our("credential-store", "worker"), "10.0.0.1", 443)
    assert not reaches(store, our("credential-store", "beat"), HOST, 443)


@pytest.mark.parametrize(("name", "component"), [*CLIENTS[1:], ("redis-in-cluster", "redis")])
def test_nobody_else_reaches_the_outside(name: str, component: str) -> None:
    objects, pod = overlay(name), our(name, component)
    for address in (HOST, HOST_V6, *INSIDE):
        for port in (21, 53, 80, 443, 990, REDIS, 50_000):
            assert not reaches(objects, pod, address, port), (address, port)
    assert not reaches(objects, pod, STRANGER, 8080)


def test_nobody_but_clients_reaches_redis() -> None:
    objects, redis = overlay("redis-in-cluster"), our("redis-in-cluster", "redis")
    (filling,) = pods_of(objects_in((FOLDER / "workspaces-pod.yaml").read_text()))
    for stranger in (STRANGER, STRANGER_HERE, PodThere({}, "keda"), PodThere(filling.labels), HOST):
        assert not reaches(objects, stranger, redis, REDIS), stranger


def test_keda_reaches_redis_where_it_is_used() -> None:
    objects = overlay("keda")
    assert reaches(objects, PodThere({}, "keda"), our("keda", "redis"), REDIS)
    assert not reaches(objects, STRANGER, our("keda", "redis"), REDIS)


def test_pages_and_metrics_are_for_the_ingress_and_prometheus() -> None:
    objects = overlay("redis-in-cluster")
    flower, beat = our("redis-in-cluster", "flower"), our("redis-in-cluster", "beat")
    ingress, prometheus = PodThere({}, "ingress-nginx"), PodThere({}, "monitoring")
    assert reaches(objects, ingress, flower, FLOWER)
    assert reaches(objects, prometheus, beat, METRICS)
    assert not reaches(objects, prometheus, flower, FLOWER)
    assert not reaches(objects, ingress, beat, METRICS)
    for stranger in (STRANGER, STRANGER_HERE, HOST, our("redis-in-cluster", "worker")):
        assert not reaches(objects, stranger, flower, FLOWER)
        assert not reaches(objects, stranger, beat, METRICS)


def test_nobody_reaches_a_worker() -> None:
    """It listens nowhere; data connections of FTP are passive ones."""
    objects, worker = overlay("redis-in-cluster"), our("redis-in-cluster", "worker")
    for source in (STRANGER, HOST, our("redis-in-cluster", "flower"), PodThere({}, "monitoring")):
        for port in (20, 21, FLOWER, 50_000):
            assert not reaches(objects, source, worker, port)


def test_a_redis_outside_is_reached_where_the_policy_names_it() -> None:
    """The example's address leads nowhere; no other is open by mistake."""
    objects = overlay("external-redis")
    for component in ("worker", "beat", "flower"):
        pod = our("external-redis", component)
        assert reaches(objects, pod, "192.0.2.10", REDIS)
        assert not reaches(objects, pod, "10.0.0.1", REDIS)
    assert not reaches(objects, our("external-redis", "beat"), HOST, REDIS)


def test_without_the_policy_that_forbids_everything_the_check_would_find_open_doors() -> None:
    objects = [
        found
        for found in overlay("redis-in-cluster")
        if found["metadata"]["name"] != "siteferry-deny"
    ]
    assert reaches(objects, STRANGER, our("redis-in-cluster", "worker"), FLOWER)
    assert reaches(objects, our("redis-in-cluster", "redis"), HOST, 443)
