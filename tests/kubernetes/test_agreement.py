"""The manifests say what siteferry understands: commands, settings, probes, ports, times."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from siteferry.broker import SHARED_QUEUE
from siteferry.health.place import VARIABLE
from siteferry.health.probe import Question
from siteferry.settings import Settings, load_settings
from siteferry.settings.metrics import split_listen
from tests.installation import REPOSITORY
from tests.kubernetes.laid_out import IMAGE_COMMAND, LaidOut, lay_out
from tests.kubernetes.manifests import (
    FOLDER,
    OVERLAYS,
    Object,
    Pod,
    new_secrets,
    objects_in,
    of_kind,
    overlay,
    pod_of,
    pods_of,
)
from tests.unit.test_config_examples import accepts

WEBSITES: Object = {"kind": "ConfigMap", "metadata": {"name": "siteferry-websites"}, "data": {}}
LOGINS: Object = {
    "kind": "Secret",
    "metadata": {"name": "siteferry-credentials"},
    "stringData": {"SITEFERRY_CRED_EXAMPLE_FTP_PASSWORD": "of the test"},
}
PROBES = ("startupProbe", "livenessProbe", "readinessProbe")


def our_pods() -> list[tuple[str, Pod]]:
    """Every pod that runs siteferry, with the overlay that it is from."""
    found = [(name, pod) for name in OVERLAYS for pod in pods_of(overlay(name))]
    return [(name, pod) for name, pod in found if pod.component != "redis"]


def laid(name: str, pod: Pod, root: Path) -> LaidOut:
    secrets = new_secrets(str(FOLDER / "base/siteferry.yaml"))  # any file, for no server is asked
    objects = [*overlay(name), *secrets, WEBSITES, LOGINS]
    (root / "workspaces").mkdir()
    shared = {"workspaces": root / "workspaces", "identity": root}
    return lay_out(pod, objects, root / "of-the-pod", changes={}, shared=shared)


def test_the_commands_are_accepted() -> None:
    for _, pod in our_pods():
        assert "command" not in pod.container
        accepts(list(pod.container["args"]))
    (cronjob,) = (pod for name, pod in our_pods() if pod.component == "import")
    context = accepts(list(cronjob.container["args"]))
    for parameter in ("detach", "if_not_running", "quiet"):
        assert context.params[parameter] is True


URLS = {"external-redis": "rediss://redis.example.com:6379/0"}
STORES = {"secrets-by-environment": "environment", "credential-store": "vault"}


@pytest.mark.parametrize("name", OVERLAYS)
def test_the_settings_of_every_pod_load_as_they_are_meant(name: str, tmp_path: Path) -> None:
    for pod in pods_of(overlay(name)):
        if pod.component == "redis":
            continue
        folder = tmp_path / pod.component
        folder.mkdir()
        there = laid(name, pod, folder)
        settings = load_settings(environ=there.environment)
        redis = settings.redis
        assert redis.url == URLS.get(name, "redis://siteferry-redis:6379/0")
        user = "producer" if pod.component == "import" else pod.component
        assert redis.username == f"siteferry-{user}"
        assert redis.password is not None
        assert len(redis.password.reveal()) == 48
        assert (redis.ca_file is not None) == (name == "external-redis")
        assert settings.state_dir == there.root / "var/lib/siteferry"
        for file, reader in (
            (settings.metrics.token_file, "beat"),
            (settings.flower.password_file, "flower"),
        ):
            # Read by this process, so it must be among what is mounted.
            assert (file is not None and file.is_file()) == (pod.component == reader)
        if pod.component != "flower":
            assert settings.paths.websites == there.root / "etc/siteferry-websites"
        if pod.component in ("worker", "beat"):
            assert settings.health_directory == there.root / "run/siteferry"
        if pod.component == "worker":
            assert settings.paths.workspaces == there.root / "srv/workspaces"
            assert settings.credentials.backend == STORES.get(name, "mounted")
            directory = settings.credentials.mounted.directory
            assert name in STORES or directory == there.root / "run/secrets/credentials"


def test_the_token_for_vault_is_where_the_settings_look_for_it() -> None:
    settings = objects_in((FOLDER / "base/siteferry.yaml").read_text())[0]
    worker = pod_of(overlay("credential-store"), "worker")
    (volume,) = (found for found in worker.spec["volumes"] if found["name"] == "identity")
    (mount,) = (m for m in worker.container["volumeMounts"] if m["name"] == "identity")
    (source,) = volume["projected"]["sources"]
    token = f"{mount['mountPath']}/{source['serviceAccountToken']['path']}"
    assert settings["credentials"]["vault"]["jwt_file"] == token


def test_the_logins_of_websites_are_given_to_workers_alone() -> None:
    for name, pod in our_pods():
        written = str(pod.spec)
        gets = "siteferry-credentials" in written
        assert gets == (pod.component == "worker" and name != "credential-store"), pod.owner
        own = "producer" if pod.component == "import" else pod.component
        assert set(re.findall(r"siteferry-redis-\w+", written)) == {f"siteferry-redis-{own}"}


def test_what_is_a_directory_of_siteferrys_can_be_written() -> None:
    for name, pod in our_pods():
        writable = {
            mount["mountPath"]
            for mount in pod.container["volumeMounts"]
            if not mount.get("readOnly")
        }
        settings = objects_in((FOLDER / "base/siteferry.yaml").read_text())[0]
        assert settings["state_dir"] in writable, (name, pod.owner)
        assert "/tmp" in writable


def test_probes_ask_where_the_process_writes() -> None:
    scripts = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["scripts"]
    for name, pod in our_pods():
        if pod.component not in ("worker", "beat"):
            continue
        (environment,) = (
            data["data"]
            for key, data in of_kind(overlay(name), "ConfigMap").items()
            if key.startswith("siteferry-environment")
        )
        words = {}
        for probe in PROBES:
            program, *arguments = pod.container[probe]["exec"]["command"]
            assert program in scripts
            question = Question(arguments, environment)
            assert question.directory == environment[VARIABLE]
            words[probe] = question.word
        assert words == dict(zip(PROBES, ("alive", "alive", "ready"), strict=True))
        (volume,) = (
            mount["name"]
            for mount in pod.container["volumeMounts"]
            if mount["mountPath"] == environment[VARIABLE]
        )
        assert {"name": volume, "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}} in (
            pod.spec["volumes"]
        )


def test_the_probes_of_a_worker_are_those_of_the_documents() -> None:
    text = (REPOSITORY / "docs/operations.md").read_text()
    told = {
        found["name"]: objects_in(found["probe"])[0]
        for found in re.finditer(
            r"^(?P<name>\w+Probe): +(?P<probe>\{exec.*\})$", text, re.MULTILINE
        )
    }
    container = pod_of(overlay("redis-in-cluster"), "worker").container
    assert told == {probe: container[probe] for probe in PROBES}


@pytest.mark.parametrize("name", OVERLAYS)
def test_a_worker_is_given_more_than_its_grace(name: str, tmp_path: Path) -> None:
    pod = pod_of(overlay(name), "worker")
    settings = load_settings(environ=laid(name, pod, tmp_path).environment)
    assert pod.spec["terminationGracePeriodSeconds"] >= settings.worker.grace_seconds + 5


def test_the_image_is_what_the_manifests_take_it_for() -> None:
    """They name no command, and no folder of programs."""
    final = (REPOSITORY / "Dockerfile").read_text().rpartition("\nFROM ")[2]
    told = dict(re.findall(r"^(USER|ENTRYPOINT|WORKDIR) (.+)$", final, re.MULTILINE))
    assert told["ENTRYPOINT"] == json.dumps(IMAGE_COMMAND)
    programs = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["scripts"]
    (venv,) = re.findall(r"^COPY --from=build (\S+) \1$", final, re.MULTILINE)
    assert f"PATH={venv}/bin:$PATH" in final
    alone = objects_in((FOLDER / "workspaces-pod.yaml").read_text())
    for pod in [*(pod for _, pod in our_pods()), *pods_of(alone)]:
        user = pod.spec["securityContext"]
        assert told["USER"] == f"{user['runAsUser']}:{user['runAsGroup']}", pod.owner
        # What the image keeps in its own folder is not hidden by a volume.
        mounted = [mount["mountPath"] for mount in pod.container["volumeMounts"]]
        assert not any(f"{venv}/".startswith(f"{path}/") for path in mounted), pod.owner
        for probe in PROBES:
            words = pod.container.get(probe, {}).get("exec", {}).get("command", IMAGE_COMMAND)
            assert words[0] in programs, pod.owner


def test_ports_are_those_of_the_settings() -> None:
    objects = overlay("redis-in-cluster")
    settings = objects_in((FOLDER / "base/siteferry.yaml").read_text())[0]
    metrics = split_listen(settings["metrics"]["listen"])
    assert metrics is not None
    assert metrics[1] == (split_listen(Settings().metrics.listen) or ("", 0))[1]
    for service, component, port in (
        ("siteferry-metrics", "beat", metrics[1]),
        ("siteferry-flower", "flower", Settings().flower.port),
    ):
        (told,) = of_kind(objects, "Service")[service]["spec"]["ports"]
        (opened,) = pod_of(objects, component).container["ports"]
        assert (told["port"], opened["containerPort"]) == (port, port)
        assert told["targetPort"] == opened["name"]
    for probe in PROBES:
        get = pod_of(objects, "flower").container[probe]["httpGet"]
        assert get == {"path": "/healthcheck", "port": "http"}


def test_keda_counts_the_shared_queue_and_what_is_in_hand() -> None:
    (scaled,) = of_kind(overlay("keda"), "ScaledObject").values()
    spec = scaled["spec"]
    prefix = Settings().redis.key_prefix
    triggers = {trigger["name"]: trigger["metadata"] for trigger in spec["triggers"]}
    assert triggers["queued"]["listName"] == f"{prefix}{SHARED_QUEUE}"
    assert triggers["in_hand"]["listName"] == f"{prefix}unacked"
    modifiers = spec["advanced"]["scalingModifiers"]
    assert set(modifiers["formula"].split(" + ")) == set(triggers)
    threads = str(Settings().worker.concurrency)
    assert modifiers["target"] == threads
    assert {metadata["listLength"] for metadata in triggers.values()} == {threads}
    (service,) = (
        service
        for name, service in of_kind(overlay("keda"), "Service").items()
        if name == "siteferry-redis"
    )
    (port,) = service["spec"]["ports"]
    address = f"siteferry-redis.{service['metadata']['namespace']}.svc:{port['port']}"
    assert {metadata["address"] for metadata in triggers.values()} == {address}


def test_the_number_of_workers_is_kedas_where_it_is_used() -> None:
    with_keda = of_kind(overlay("keda"), "Deployment")["siteferry-worker"]
    without = of_kind(overlay("redis-in-cluster"), "Deployment")["siteferry-worker"]
    assert "replicas" not in with_keda["spec"]
    assert without["spec"].pop("replicas") == 2
    assert with_keda == without


def test_websites_are_started_by_one_scheduler_only() -> None:
    for name in OVERLAYS:
        there = {pod.component for pod in pods_of(overlay(name))}
        assert len(there & {"beat", "import"}) == 1, name


def test_images_are_replaced_in_every_pod_of_siteferrys() -> None:
    images = {pod.container["image"] for _, pod in our_pods()}
    (image,) = images
    assert re.fullmatch(r"registry\.example\.com/siteferry:[\d.]+", image)
    alone = objects_in((FOLDER / "workspaces-pod.yaml").read_text())
    assert {pod.container["image"] for pod in pods_of(alone)} == images
    version = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]
    assert image.endswith(f":{version}")
