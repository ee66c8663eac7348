"""The manifests' pods under a container runtime: podman plays what `kubectl kustomize` prints.

What is changed of it, and why, is told in `played`. There is no scheduler, no NetworkPolicy and no
Service: the one name that pods ask for, `siteferry-redis`, is that of their Redis' pod.
"""

from __future__ import annotations

import base64
import json
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.container.played import NETWORK, Played, for_podman
from tests.container.podman import Podman, podman_missing
from tests.container.stack import REDIS_IMAGE, Stack, named
from tests.container.test_closed import status_of
from tests.installation import tree_of, write_tree
from tests.kubernetes.laid_out import data_of
from tests.kubernetes.manifests import (
    FOLDER,
    Object,
    new_secrets,
    objects_in,
    of_kind,
    overlay,
    pods_of,
)
from tests.servers.binaries import REPOSITORY

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

USERS = {"redis": 10002, "worker": 10001, "beat": 10001, "flower": 10001, "workspaces": 10001}
SITE = "example"
# 6 MB: at 1 MiB a second, time to be told to stop.
FILES = {f"{n % 10}/file-{n}.bin": n.to_bytes(4, "big") * 4096 for n in range(400)}
PASSWORD = "of the demo's account"
FTP, VOLUMES = Path("/var/lib/containers/ftp"), "/var/lib/containers/storage/volumes"

_WITHIN_SECONDS = 60.0
_POLL_SECONDS = 0.2


def workspaces_pod() -> list[Object]:
    return objects_in((FOLDER / "workspaces-pod.yaml").read_text())


def beside() -> list[Object]:
    """What the operator makes: a website, and its login."""
    ftp = {"host": "ftp", "port": 2121, "security": "none", "remote_dir": f"/{SITE}"}
    login = {"USERNAME": "demo", "PASSWORD": PASSWORD}
    return [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "siteferry-websites"},
            "data": {f"{SITE}.yaml": json.dumps({"ftp": ftp})},
        },
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "siteferry-credentials"},
            "stringData": {f"SITEFERRY_CRED_{SITE.upper()}_FTP_{k}": v for k, v in login.items()},
        },
    ]


@pytest.fixture(scope="module")
def podman(built: Stack) -> Iterator[Podman]:
    """With the image that Docker has built, and the one that stands in for Redis'."""
    if reason := podman_missing():
        pytest.skip(reason)
    pods = pods_of([*overlay("redis-in-cluster"), *workspaces_pod()])
    images = sorted({pod.container["image"] for pod in pods})
    for name in images:
        made = "siteferry" if "siteferry" in name else named(REDIS_IMAGE, "docker-compose.yml")
        built.engine.run("docker", "tag", made, name)
    running = Podman()
    try:
        running.start()
        archive = running.folder / "images.tar"
        built.engine.run("docker", "save", "--output", str(archive), *images)
        running.feed(archive, "load", "--quiet")
        archive.unlink()
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def secrets() -> list[Object]:
    return new_secrets()


@pytest.fixture(scope="module")
def played(
    podman: Podman, secrets: list[Object], tmp_path_factory: pytest.TempPathFactory
) -> Played:
    """Redis, worker, scheduler and Flower, ready; a website in the workspaces; its host."""
    found = Played(podman)
    found.play([*overlay("redis-in-cluster"), *secrets, *beside(), *workspaces_pod()])
    start_ftp(podman, found.pods["worker"].container["image"])
    for component in USERS:
        found.start(component)
    for component in ("redis", "worker", "beat", "flower"):
        found.wait_until_ready(component)
    fill(found, tmp_path_factory.mktemp("workspaces"))
    return found


def start_ftp(podman: Podman, image: str) -> None:
    """The server of the compose file's demo: the host that is published to."""
    folder = podman.path(str(FTP))
    demo = REPOSITORY / "config/compose/demo/ftp_server.py"
    # Its own website, which nobody asks for here, is not made where there is something already.
    write_tree(
        folder,
        {
            "server.py": demo.read_bytes(),
            "password": PASSWORD,
            "site/is-there": "",
            "root/index.html": "",
        },
    )
    (folder / "root").chmod(0o777)
    places = [str(FTP / name) for name in ("root", "password", "site")]
    podman.run(
        *("run", "--detach", "--name", "ftp", "--network", NETWORK, "--volume", f"{FTP}:{FTP}"),
        *("--entrypoint", "python3", image, str(FTP / "server.py"), "2121", *places),
    )


def fill(played: Played, folder: Path) -> None:
    """As `kubectl cp` does it: with tar, as the user of the pod."""
    write_tree(folder / SITE / "output", FILES)
    archive = folder / "workspaces.tar"
    with tarfile.open(archive, "w") as packed:
        packed.add(folder / SITE, SITE)
    tar = ("tar", "-xmf", "-", "-C", "/srv/workspaces")
    words = ("exec", "--interactive", played.container("workspaces"), *tar)
    played.podman.feed(archive, *words)


def is_published(played: Played) -> bool:
    """Whether the host has what the workspaces have."""
    source = played.podman.path(VOLUMES) / "siteferry-workspaces/_data" / SITE / "output"
    there = played.podman.path(str(FTP / "root" / SITE))
    return tree_of(there) == tree_of(source)


def siteferry(played: Played, *arguments: str) -> str:
    """As `kubectl exec deployment/siteferry-beat -- siteferry ARGUMENTS`."""
    return played.exec_in("beat", "siteferry", *arguments).stdout


def status(played: Played, run: str) -> Any:
    return json.loads(siteferry(played, "status", run, "--json"))


def wait_until(condition: Callable[[], object], played: Played) -> None:
    deadline = time.monotonic() + _WITHIN_SECONDS
    while not condition():
        assert time.monotonic() < deadline, played.log("worker")
        time.sleep(_POLL_SECONDS)


def test_nothing_is_changed_but_what_podman_does_not_know() -> None:
    objects = overlay("redis-in-cluster")
    given = {(found["kind"], found["metadata"]["name"]): found for found in for_podman(objects)}
    passed_over = {"NetworkPolicy", "PodDisruptionBudget", "Service", "ServiceAccount"}
    taken = {"ConfigMap", "PersistentVolumeClaim", "Deployment", "Pod"}
    assert {kind for kind, _ in given} == passed_over | taken
    for found in objects:
        name = found["metadata"]["name"]
        if found["kind"] != "StatefulSet":
            renamed = json.dumps(given[found["kind"], name])
            for volume in ("state", "tmp"):
                renamed = renamed.replace(f'"{name}-{volume}"', f'"{volume}"')
            assert json.loads(renamed) == found
        else:
            template, pod = found["spec"]["template"], given["Pod", name]
            assert pod["spec"]["containers"] == template["spec"]["containers"]
            assert pod["spec"]["securityContext"] == template["spec"]["securityContext"]


def test_liveness_probes_are_answered_as_the_runtime_has_them(played: Played) -> None:
    for component in ("redis", "worker", "beat"):
        wanted = played.pods[component].container["livenessProbe"]["exec"]["command"]
        assert played.facts(component)["Config"]["Healthcheck"]["Test"] == ["CMD", *wanted]
        # The first one is the startup probe, after which the others count.
        for _ in range(2):
            played.podman.run("healthcheck", "run", played.container(component))
        assert played.facts(component)["State"]["Health"]["Status"] == "healthy"


def test_every_process_is_an_ordinary_users_without_any_rights(played: Played) -> None:
    for component, user in USERS.items():
        listed = played.podman.run("top", played.container(component), "hpid").stdout
        processes = [int(line) for line in listed.split()[1:]]
        assert processes, component
        for pid in processes:
            status = status_of(played.podman.process(pid))
            assert set(status["Uid"].split()) == set(status["Gid"].split()) == {str(user)}
            assert "0" not in status["Groups"].split(), component
            for capabilities in ("CapPrm", "CapEff", "CapBnd", "CapAmb"):
                assert int(status[capabilities], 16) == 0, (component, capabilities)
            assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2"), component


def test_nothing_can_be_written_but_to_volumes(played: Played) -> None:
    for component in USERS:
        mounts = played.pods[component].container["volumeMounts"]
        places = [mount["mountPath"] for mount in mounts if mount.get("readOnly")]
        # Of podman's own are /run and /var/tmp, in memory, which a cluster's pods do not have.
        for place in ("/", "/opt", "/etc", "/srv", "/usr/bin", *places):
            tried = played.exec_in(component, "touch", f"{place}/written", check=False)
            assert "Read-only file system" in tried.stderr, (component, place, tried.stderr)
        for mount in mounts:
            if not mount.get("readOnly"):
                played.exec_in(component, "touch", f"{mount['mountPath']}/written")
                played.exec_in(component, "rm", f"{mount['mountPath']}/written")


def test_an_import_by_the_documents_command_publishes_the_website(played: Played) -> None:
    run = json.loads(siteferry(played, "import", SITE, "--json", "--quiet"))
    assert run["state"] == "done"
    assert is_published(played)


def test_a_job_of_the_cronjob_starts_the_imports(played: Played, secrets: list[Object]) -> None:
    place = f"/srv/workspaces/{SITE}/output/new.html"
    played.exec_in("workspaces", "sh", "-c", f"echo new >{place}")
    assert not is_published(played)
    objects = overlay("cronjob")
    job = [*of_kind(objects, "CronJob").values(), *of_kind(objects, "ConfigMap").values()]
    played.play([*job, *secrets, *beside()])
    played.start("import")
    code = played.podman.run("wait", played.container("import")).stdout.strip()
    assert code == "0", played.log("import")
    wait_until(lambda: is_published(played), played)


def test_a_worker_that_is_told_to_stop_in_an_import_leaves_it_to_the_next(played: Played) -> None:
    slowly = ("--purge", "--bandwidth", "1MiB", "--detach")
    run = siteferry(played, "import", SITE, *slowly).split()[-1]
    wait_until(lambda: status(played, run)["stats"]["uploaded"], played)
    code, seconds = played.ends_within("worker")
    assert code == 0, played.log("worker")
    assert seconds < played.pods["worker"].spec["terminationGracePeriodSeconds"] - 5
    assert "ending at once" not in played.log("worker")
    left = status(played, run)
    assert (left["state"], left["stats"]["failed"]) == ("transferring", 0)
    assert left["stats"]["uploaded"] < len(FILES)
    played.start("worker")
    ended = json.loads(siteferry(played, "watch", run, "--json"))
    assert ended["state"] == "done"
    assert ended["stats"]["failed"] == 0
    assert is_published(played)


def test_redis_has_what_it_had_when_it_is_started_again(played: Played) -> None:
    before = siteferry(played, "runs", "--json")
    assert played.ends_within("redis")[0] == 0
    wait_until(lambda: not played.is_ready("worker"), played)
    # Not ready, and alive: it waits, and is not started anew.
    played.podman.run("healthcheck", "run", played.container("worker"))
    played.start("redis")
    for component in ("redis", "worker", "beat"):
        played.wait_until_ready(component)
    assert siteferry(played, "runs", "--json") == before


def test_metrics_and_flower_want_their_passwords(played: Played, secrets: list[Object]) -> None:
    asked = "\n".join(
        [
            "import sys, urllib.request as u, urllib.error as e",
            "r = u.Request(sys.argv[1], headers={'Authorization': sys.stdin.read().strip()})",
            "try: print(u.urlopen(r, timeout=10).read().decode())",
            "except e.HTTPError as error: print(error.code)",
        ]
    )

    def ask(component: str, path: str, login: str) -> str:
        address = f"http://{played.names[component]}:{path}"
        return played.exec_in("worker", "python3", "-c", asked, address, text=login).stdout

    token = data_of(secrets, "Secret", "siteferry-metrics")["token"]
    assert ask("beat", "9808/metrics", "Bearer wrong").strip() == "401"
    assert "siteferry_workers 1.0" in ask("beat", "9808/metrics", f"Bearer {token}")
    password = data_of(secrets, "Secret", "siteferry-flower")["password"]
    login = base64.b64encode(f"siteferry:{password}".encode()).decode()
    assert ask("flower", "5555/workers", "Basic d3Jvbmc6d3Jvbmc=").strip() == "401"
    assert "<html" in ask("flower", "5555/workers", f"Basic {login}")
