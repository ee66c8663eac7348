"""Parts of the stack that are told to stop, and a limit that binds whatever number of workers."""

from __future__ import annotations

import time

import pytest

from tests.container.stack import LIMIT_FOR_TWO, Stack
from tests.container.test_running import PAGES, RATE, SLOW
from tests.installation import tree_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def codes(stack: Stack, service: str) -> list[int]:
    return [facts["State"]["ExitCode"] for facts in stack.containers(service)]


def test_four_workers_open_no_more_connections_than_two(stack: Stack) -> None:
    """They have 32 threads, and the website's limit is less than half of that."""
    stack.up(workers=4)
    try:
        source = stack.add_site("bounded", PAGES, LIMIT_FOR_TWO)
        stack.store_password("bounded")
        before = stack.ftp_log()
        run = stack.siteferry("import", "bounded", "--detach").stdout.split()[-1]
        assert stack.end_of(run)["state"] == "done"
        assert stack.published("bounded") == tree_of(source)
        assert stack.most_connections(before) <= LIMIT_FOR_TWO
    finally:
        stack.up()


def test_workers_that_are_told_to_stop_amid_an_import_end_with_0_and_it_goes_on(
    stack: Stack,
) -> None:
    source = stack.add_site("stopped", SLOW, bandwidth=RATE)
    stack.store_password("stopped")
    run = stack.begin("stopped")
    try:
        stack.compose("stop", "worker")
        assert codes(stack, "worker") == [0, 0]
    finally:
        stack.up()
    ended = stack.end_of(run)
    assert ended["state"] == "done"
    assert ended["stats"]["uploaded"] == len(SLOW)
    assert len(ended["workers"]) > 2, "those that were stopped have done all of it"
    assert stack.published("stopped") == tree_of(source)


@pytest.mark.parametrize("service", ["scheduler", "flower", "ftp", "redis"])
def test_what_is_told_to_stop_ends_with_0_before_it_would_be_killed(
    stack: Stack, service: str
) -> None:
    try:
        before = time.monotonic()
        stack.compose("stop", service)
        assert time.monotonic() - before < 9, "Docker kills after ten seconds"
        assert codes(stack, service) == [0]
    finally:
        stack.up()
