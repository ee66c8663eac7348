"""What one scrape of the metrics costs Redis: `python -m benchmarks.metrics_cost`.

A ledger with so many websites, each with an account of its own, ten at an address; all have had
their runs, which are kept, and some runs live. No FTP is spoken.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, generate_latest

from benchmarks.markdown import rows
from scheduler.metrics import LedgerCollector
from siteferry.broker import SHARED_QUEUE
from siteferry.ledger.connection import Connection, connect
from siteferry.ledger.items import Items
from siteferry.ledger.metrics import read_metrics
from siteferry.ledger.runs import NewRun, Runs
from siteferry.ledger.slots import SlotLedger
from siteferry.run import Direction, RunState
from tests.private_redis import RedisServer, redis_binary

_CASES = ((20, 0, 0), (200, 0, 0), (200, 0, 20_000), (200, 500, 20_000), (2_000, 500, 20_000))
_HEADER = ("websites", "runs that live", "runs kept", "commands", "Redis is busy", "whole answer",
           "bytes")  # fmt: skip
_LOOKS = 50


@dataclass(frozen=True, slots=True)
class _Fleet:
    connection: Connection
    websites: int

    def fill(self, live: int, kept: int) -> None:
        """Each website has one run at least, and a session that was open."""
        items, slots = Items(self.connection), SlotLedger(self.connection)
        for number in range(max(kept, self.websites)):
            self._start(f"kept-{number}", number)
            items.fail_run(f"kept-{number}", RunState.DONE, None, spare_publish=False)
        for number in range(self.websites):
            account, address = self._place(number)
            token = f"node.{number}"
            slots.take(account, address, token, most_account=8, most_address=99,
                       connects_per_second=10**6)  # fmt: skip
            slots.admitted(account, address, token)
        for number in range(live):
            self._start(f"live-{number}", number)

    def _place(self, number: int) -> tuple[str, str]:
        number %= self.websites
        return f"u{number:06}@ftp{number // 10:04}.example.com:21", f"192.0.2.{number // 10}"

    def _start(self, run: str, number: int) -> None:
        site = f"website-{number % self.websites:04}"
        account, target = self._place(number)[0], f"{site}/{run}"
        Runs(self.connection).start(
            NewRun(run, site, Direction.IMPORT, account, target, 8, "hold", {})
        )

    def commands(self) -> int:
        """How many commands one look is, those within its script."""
        client = self.connection.client

        def called() -> int:
            stats = client.info("commandstats")
            return int(sum(row["calls"] for row in stats.values()))

        idle = called()
        idle = called() - idle
        before = called()
        read_metrics(self.connection, SHARED_QUEUE)
        return called() - before - idle

    def milliseconds(self) -> tuple[float, float, int]:
        """For how long Redis does nothing else, until the whole answer is there, and its size."""
        client = self.connection.client
        registry = CollectorRegistry(auto_describe=False)
        registry.register(LedgerCollector(self.connection))
        client.config_resetstat()
        whole: list[float] = []
        size = 0
        for _ in range(_LOOKS):
            begun = time.perf_counter()
            size = len(generate_latest(registry))
            whole.append((time.perf_counter() - begun) * 1000)
        busy = client.info("commandstats")["cmdstat_evalsha"]["usec_per_call"] / 1000
        return float(busy), statistics.median(whole), size


def measure(websites: int, live: int, kept: int) -> list[str]:
    """One row."""
    binary = redis_binary()
    if binary is None:
        raise SystemExit("there is no Redis (Debian: apt install redis-server)")
    server = RedisServer(binary)
    connection = connect(server.url)
    try:
        fleet = _Fleet(connection, websites)
        fleet.fill(live, kept)
        count = fleet.commands()
        busy, whole, size = fleet.milliseconds()
    finally:
        connection.client.close()
        server.remove()
    times = [f"{busy:.1f} ms", f"{whole:.1f} ms", f"{size:,}"]
    return [f"{websites:,}", f"{live:,}", f"{kept or websites:,}", f"{count:,}", *times]


def main() -> None:
    """Print the table."""
    print("\n".join(rows(_HEADER, [measure(*case) for case in _CASES])))


if __name__ == "__main__":
    main()
