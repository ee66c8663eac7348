"""The private server is one for all commands of a user: a worker of another command gets items of a
website whose password it does not have."""

from __future__ import annotations

from pathlib import Path

import pytest

from scheduler.plan import PlanStep
from scheduler.start import start_import
from siteferry.credentials import variable_name
from siteferry.dispatch.carry import carry
from siteferry.run import RunState
from siteferry.websites.ad_hoc import AdHocWebsite
from siteferry.websites.run_options import RunOptions
from tests.inline import make_worker, work_off
from tests.installation import Installation, tree_of, write_tree
from tests.private_redis import RedisServer
from tests.servers.base import FtpServer


def test_a_worker_without_the_password_leaves_the_run_to_the_one_that_has_it(
    pyftpd_server: FtpServer,
    redis_server: RedisServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = pyftpd_server
    source = tmp_path / "site"
    write_tree(source, {"index.html": "home"})
    ad_hoc = AdHocWebsite(
        str(source), "none", server.user, server.host, server.port, server.remote_root, brought=True
    )
    runtime = make_worker(Installation(tmp_path / "other"), redis_server)
    options = RunOptions(ad_hoc=ad_hoc)
    run = start_import(runtime.connection, runtime.broker, ad_hoc.website(), options)
    for _ in range(4):  # one more than a plan is tried that is at fault itself
        while not runtime.broker.members:  # type: ignore[attr-defined]
            work_off(runtime, run, until=lambda: bool(runtime.broker.members))  # type: ignore[attr-defined]
        carry(runtime, runtime.broker.members.popleft(), PlanStep())  # type: ignore[attr-defined]
        assert runtime.runs.state(run) is RunState.PLANNING

    monkeypatch.setenv(variable_name(ad_hoc.credential, "FTP_PASSWORD"), server.password)
    assert work_off(runtime, run).state is RunState.DONE
    assert tree_of(server.root) == tree_of(source)
    runtime.pool.close_idle(everything=True)
    runtime.connection.client.close()
