"""What the pods of an overlay run works together: worker, scheduler and Flower with the users,
passwords, settings and files that their manifests give them; Redis and the FTP server are real."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from siteferry.broker import SHARED_QUEUE
from tests.holdings import wait_until
from tests.installation import tree_of, write_tree
from tests.kubernetes.laid_out import data_of
from tests.kubernetes.manifests import Object, new_secrets, overlay
from tests.kubernetes.pod_processes import (
    REDIS_IN_THE_CLUSTER,
    Namespace,
    RedisPod,
    answers,
    redis_pod,
)
from tests.metrics_scrape import scrape
from tests.servers.base import FtpServer
from tests.servers.ports import HOST, PortBlock


def website(server: FtpServer, **more: Any) -> str:
    """A website file; its login is in the store."""
    ftp = {"host": server.host, "port": server.port, "security": "none"}
    return json.dumps({"ftp": ftp | {"remote_dir": f"{server.remote_root}/site"}, **more})


def beside(server: FtpServer, **more: Any) -> list[Object]:
    """What the operator makes: the website's file and its login."""
    login = {"USERNAME": server.user, "PASSWORD": server.password}
    return [
        {
            "kind": "ConfigMap",
            "metadata": {"name": "siteferry-websites"},
            "data": {"example.yaml": website(server, **more)},
        },
        {
            "kind": "Secret",
            "metadata": {"name": "siteferry-credentials"},
            "stringData": {f"SITEFERRY_CRED_EXAMPLE_FTP_{k}": v for k, v in login.items()},
        },
    ]


class There:
    """A namespace, its Redis, and two ports for what would be Services."""

    def __init__(self, namespace: Namespace, redis: RedisPod, metrics: int, flower: int) -> None:
        self.namespace, self.redis = namespace, redis
        self.metrics, self.flower = metrics, flower


@contextmanager
def deployed(name: str, server: FtpServer, folder: Path, **more: Any) -> Iterator[There]:
    secrets = new_secrets()
    objects = [*overlay(name), *secrets, *beside(server, **more)]
    workspaces = folder / "workspaces"
    write_tree(workspaces, {f"example/output/{n}.html": f"<p>{n}" for n in range(40)})
    ports = PortBlock()
    with redis_pod(secrets, folder) as redis:
        changes = {
            REDIS_IN_THE_CLUSTER: f"{HOST}:{redis.port}",
            "0.0.0.0:9808": f"{HOST}:{ports.control}",
            "address: 0.0.0.0": f"address: {HOST}, port: {ports.passive_first}",
        }
        namespace = Namespace(objects, folder, workspaces, changes)
        yield There(namespace, redis, ports.control, ports.passive_first)
    ports.release()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["redis-in-cluster", "secrets-by-environment"])
def test_a_website_is_published_by_what_an_overlay_starts(
    name: str, pyftpd_server: FtpServer, tmp_path: Path
) -> None:
    with (
        deployed(name, pyftpd_server, tmp_path) as there,
        there.namespace.running("worker") as worker,
        there.namespace.running("beat") as beat,
    ):
        worker.wait_until_ready()
        beat.wait_until_ready()
        # In the pod of the scheduler, whose user may start runs.
        done = there.namespace.exec_in(beat.laid, "import", "example", "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        source = tmp_path / "workspaces/example/output"
        assert tree_of(pyftpd_server.root / "site") == tree_of(source)

        token = data_of(there.namespace.objects, "Secret", "siteferry-metrics")["token"]
        url = f"http://{HOST}:{there.metrics}/metrics"
        assert scrape(url).code == 401
        assert scrape(url, token).value("runs_ended_total", direction="import", state="done") == 1

        assert worker.ends_within()[0] == 0
        assert beat.ends_within()[0] == 0
        # Neither state nor health directory is found wanting.
        assert "warning" not in worker.log.read_text() + beat.log.read_text()
        with there.redis.client("admin") as admin:
            assert admin.acl_log() == []


@pytest.mark.slow
def test_the_jobs_command_starts_runs_and_flower_shows_them(
    pyftpd_server: FtpServer, tmp_path: Path
) -> None:
    with (
        deployed("cronjob", pyftpd_server, tmp_path) as there,
        there.namespace.running("worker") as worker,
        there.namespace.running("flower"),
    ):
        worker.wait_until_ready()
        job = there.namespace.laid_out("import", "job")
        arguments = job.pod.container["args"]
        assert there.namespace.exec_in(job, *arguments).stderr == ""
        source = tmp_path / "workspaces/example/output"
        wait_until(
            lambda: tree_of(pyftpd_server.root / "site") == tree_of(source), "nothing published"
        )
        probe = f"http://{HOST}:{there.flower}/healthcheck"
        wait_until(lambda: answers(probe), "Flower does not start")
        password = data_of(there.namespace.objects, "Secret", "siteferry-flower")["password"]
        login = base64.b64encode(f"siteferry:{password}".encode()).decode()
        page = f"http://{HOST}:{there.flower}/workers"
        assert scrape(page).code == 401
        assert scrape(page, Authorization=f"Basic {login}").code == 200


@pytest.mark.slow
def test_what_keda_counts_is_the_work_that_may_be_done_now(
    pyftpd_server: FtpServer, tmp_path: Path
) -> None:
    """While no worker lives it is in the queue; then in hand, where the queue alone would say 0."""
    with deployed("keda", pyftpd_server, tmp_path, bandwidth="10k") as there:
        write_tree(tmp_path / "workspaces", {"example/output/large.bin": os.urandom(200_000)})
        beat = there.namespace.laid_out("beat", "shell")
        started = there.namespace.exec_in(beat, "import", "example", "--detach")
        assert started.returncode == 0, started.stderr
        with there.redis.client("keda") as keda:

            def queued() -> Any:
                return keda.llen(f"siteferry:{SHARED_QUEUE}")

            def in_hand() -> Any:
                return keda.hlen("siteferry:unacked")

            assert (queued(), in_hand()) == (1, 0)
            with there.namespace.running("worker") as worker:
                wait_until(lambda: queued() == 0 and in_hand() == 1, "nothing is in hand")
                worker.wait_until_ready()
                wait_until(
                    lambda: there.namespace.exec_in(beat, "runs", "--json").stdout.count(
                        "transferring"
                    ),
                    "it does not send",
                )
                assert (queued(), in_hand() >= 1) == (0, True)
                code, seconds = worker.ends_within()
                assert code == 0
                assert seconds < worker.laid.pod.spec["terminationGracePeriodSeconds"] - 5
            # What is left goes to the next one.
            assert queued() + in_hand() >= 1
