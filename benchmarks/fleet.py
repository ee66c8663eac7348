"""Many websites on many accounts of one host, whose address admits eight connections.

    python -m benchmarks.fleet [--sites 200] [--files 50] [--accounts 20] [--workers 2] [--check]

One command imports them all, over a link with a round trip of 20 ms; the server itself admits no
more than the limit, so a connection too many would be refused, and the workers' logs tell it. The
least time is that of the round trips, divided by the connections: they are counted in a run of the
same websites without latency, by a proxy that carries all connections (`tests/servers/wire.py`).
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.latency import DelayedLink, LinkFailed
from benchmarks.machine import describe, load
from benchmarks.outcome import MeasurementFailed
from benchmarks.servers import running
from siteferry.ledger.connection import connect
from siteferry.ledger.slots import SlotLedger
from tests.installation import Installation
from tests.private_redis import RedisServer, redis_binary
from tests.servers.base import FtpServer
from tests.servers.pureftpd import PureFtpd
from tests.servers.wire import WireProxy

MOST_RATIO = 1.3
_REFUSED = "the host admits no more"
_DIRECTORIES = 5
_FILE_BYTES = 3000
_SECONDS_TO_START = 60.0


@dataclass(frozen=True, slots=True)
class Size:
    """How much there is: websites, files of each, accounts, worker processes, and what the address
    admits."""

    sites: int
    files: int
    accounts: int
    workers: int
    limit: int

    @property
    def users(self) -> list[str]:
        return [f"client{number}" for number in range(self.accounts)]


@dataclass(frozen=True, slots=True)
class Fleet:
    """What one command said of all its runs. seconds: of the whole command. refusals: connections
    that the host did not admit."""

    seconds: float
    runs: list[dict[str, Any]]
    refusals: int
    logins: int


def main() -> int:
    """Measure and print; 1 when something could not be measured, or with `--check` where the bound
    is not kept."""
    asked = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    print(*describe(), load(), sep="\n")
    size = Size(asked.sites, asked.files, asked.accounts, asked.workers, asked.limit)
    try:
        round_trips = _count(size)
        fleet = _measure(size, asked.round_trip / 1000)
    except (LinkFailed, MeasurementFailed) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    least = round_trips * asked.round_trip / 1000 / size.limit
    ratio = fleet.seconds / least
    longest = max(run["seconds"] for run in fleet.runs)
    print(
        f"{size.sites} websites of {size.files} files on {size.accounts} accounts, "
        f"{size.limit} connections, {size.workers} workers, {asked.round_trip:.0f} ms",
        f"round trips {round_trips}, least time {least:.1f} s",
        f"taken {fleet.seconds:.1f} s: {ratio:.2f} times the least (at most {MOST_RATIO})",
        f"logins {fleet.logins}, connections refused {fleet.refusals}",
        f"slowest website {longest:.1f} s",
        sep="\n",
    )
    kept = ratio <= MOST_RATIO and not fleet.refusals
    return 0 if kept or not asked.check else 1


def _count(size: Size) -> int:
    """The round trips of all its runs, on loopback."""
    with host(size, None) as server, WireProxy(server) as proxy:
        import_all(size, proxy.server)
        return proxy.round_trips


def _measure(size: Size, round_trip: float) -> Fleet:
    with DelayedLink(round_trip) as link, host(size, link) as server:
        return import_all(size, server)


@contextmanager
def host(size: Size, link: DelayedLink | None) -> Iterator[FtpServer]:
    """Pure-FTPd with the accounts; it admits as many connections of one address as `size` says."""
    with running("pureftpd", tls=False, link=link, before=_with_users(size)) as server:
        yield server


def _with_users(size: Size) -> Any:
    def prepare(server: FtpServer) -> None:
        assert isinstance(server, PureFtpd)
        server.further_users = size.users
        server.max_per_ip = size.limit

    return prepare


def import_all(size: Size, server: FtpServer) -> Fleet:
    """One `siteferry import --all` of the websites, into empty directories.

    Raises:
        MeasurementFailed: it failed, or counted something else than was there.
    """
    binary = redis_binary()
    if binary is None:
        raise MeasurementFailed("there is no Redis (Debian: apt install redis-server)")
    with ExitStack() as stack:
        redis = RedisServer(binary)
        stack.callback(redis.remove)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="siteferry-bench-")))
        installation = _installation(size, server, folder, redis)
        for _ in range(size.workers):
            stack.enter_context(installation.process("worker"))
        _wait_for_workers(redis, size.workers)
        begin = time.monotonic()
        done = subprocess.run(
            installation.argv("import", "--all", "--json", "--quiet"),
            env=installation.env(),
            capture_output=True,
            text=True,
            cwd=folder,
            check=False,
        )
        seconds = time.monotonic() - begin
        log = (installation.folder / "worker.log").read_text()
        if done.returncode:
            raise MeasurementFailed(
                f"siteferry ended with {done.returncode}: {done.stderr[-2000:]}"
            )
        runs = json.loads(done.stdout)
        uploaded = [run["stats"]["uploaded"] for run in runs]
        if uploaded != [size.files] * size.sites:
            raise MeasurementFailed(f"siteferry counted {uploaded}")
        return Fleet(seconds, runs, log.count(_REFUSED), log.count('"logged in"'))


def _installation(size: Size, server: FtpServer, folder: Path, redis: RedisServer) -> Installation:
    installation = Installation(folder / "installation", redis=redis.url)
    installation.folder.chmod(0o755)
    installation.configure(
        log={"format": "json", "level": "debug"}, address_limits={server.host: size.limit}
    )
    for number in range(size.sites):
        user = size.users[number % size.accounts]
        name = f"site-{number:03}"
        source = installation.add_site(
            server,
            name,
            remote=name,
            ftp={"username": user, "max_connections": size.limit},
        )
        for index in range(size.files):
            file = source / f"part-{index % _DIRECTORIES}" / f"page-{index}.html"
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(f"{name} {index}\n".encode().ljust(_FILE_BYTES, b"."))
    return installation


def _wait_for_workers(redis: RedisServer, count: int) -> None:
    slots = SlotLedger(connect(redis.url))
    deadline = time.monotonic() + _SECONDS_TO_START
    while len(slots.nodes()) < count:
        if time.monotonic() > deadline:
            raise MeasurementFailed("the workers do not start")
        time.sleep(0.05)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet", description=__doc__)
    parser.add_argument("--sites", type=int, default=200)
    parser.add_argument("--files", type=int, default=50, help="of each website")
    parser.add_argument("--accounts", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--limit", type=int, default=8, help="connections of the address")
    parser.add_argument("--round-trip", type=float, default=20, help="milliseconds")
    parser.add_argument("--check", action="store_true", help="1 where the bound is not kept")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
