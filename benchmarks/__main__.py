"""siteferry against lftp on real servers, in one run: `python -m benchmarks` (or `make bench`)."""

from __future__ import annotations

import argparse
import datetime as dt
import sys
from pathlib import Path

from benchmarks.clients import CONNECTIONS, MeasurementFailed
from benchmarks.machine import describe
from benchmarks.rounds import Measured, Round, measure_round
from benchmarks.table import bounds, markdown, single_rounds
from tests.installation import tree_of
from tests.servers.base import FtpServer
from tests.servers.proftpd import ProFtpd
from tests.servers.pureftpd import PureFtpd
from tests.servers.vsftpd import Vsftpd
from tests.wordpress import FILES, WordPressMissing, wordpress_tree

SERVERS: dict[str, type[FtpServer]] = {
    "vsftpd": Vsftpd,
    "pureftpd": PureFtpd,
    "proftpd": ProFtpd,
}


def main() -> int:
    """Measure and print; 1 when nothing could be measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="rounds on each server (default 3)")
    parser.add_argument(
        "--server",
        action="append",
        choices=list(SERVERS),
        help="measure on this one only; may be repeated (default: all)",
    )
    asked = parser.parse_args()
    if asked.rounds < 1:
        parser.error("--rounds must be at least 1")
    today = dt.datetime.now(dt.UTC).date()
    print(f"{today}: WordPress, {FILES:,} files, plain FTP, {CONNECTIONS} connections")
    print(*describe(), sep="\n")
    try:
        tree = wordpress_tree()
        results = [measure_server(name, tree, asked.rounds) for name in asked.server or SERVERS]
    except (MeasurementFailed, WordPressMissing) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    for lines in (markdown(results), single_rounds(results), bounds(results)):
        print()
        print(*lines, sep="\n")
    return 0


def measure_server(name: str, tree: Path, rounds: int) -> Measured:
    """All rounds on a server that is started for them.

    Raises:
        MeasurementFailed: the server is not there, or a client failed.
    """
    server_class = SERVERS[name]
    if reason := server_class.missing():
        raise MeasurementFailed(reason)
    # Reading the tree warms the page cache for both clients.
    expected = tree_of(tree)
    measured: list[Round] = []
    with server_class() as server:
        for number in range(rounds):
            print(f"{name}: round {number + 1} of {rounds}", file=sys.stderr)
            measured.append(measure_round(server, tree, expected, lftp_first=number % 2 == 1))
    return Measured(name, measured)


if __name__ == "__main__":
    sys.exit(main())
