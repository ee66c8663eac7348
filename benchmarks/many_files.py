"""100,000 files in 5,000 directories over loopback: time and memory of an import, and of the next.

    python -m benchmarks.many_files [--server NAME] [--share 1.0] [--limit 900] [--check]

A first import, one with nothing changed, one with a changed file; each with a worker that has been
started for it, so that its peak is of this import alone. Memory is the most that a process has had
resident (VmHWM), Redis' by its own account. After each import the tree on the server must be the
source, byte for byte.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.clients.base import Job
from benchmarks.machine import describe, load
from benchmarks.markdown import rows
from benchmarks.outcome import MeasurementFailed
from benchmarks.servers import SERVERS, running
from benchmarks.standing import Imported, TaskSeconds, peak_of_all_mib, standing
from siteferry.run import ItemKind
from tests.installation import tree_of

SECTIONS = 50
DIRECTORIES = 5_000
FILES = 100_000
BYTES = 200
"""Of each file, about: 150 to 250."""
MOST_WORKER_MIB = 200
"""Of all of them, at any time of the worker's life."""
MOST_COMMAND_MIB = 75
_NONE = TaskSeconds(0, 0.0, 0.0)
_HEADER = (
    "import",
    "command, s",
    "run, s",
    "plan, s",
    "comparing, s of all threads",
    "sending, s of all threads",
    "publish task, s",
    "worker, MiB",
    "command, MiB",
    "Redis after it, MiB",
    "Redis at most, MiB",
)


def main() -> int:
    """Measure and print; 1 when something could not be measured, or is checked and not kept."""
    asked = _arguments()
    # So that everything is stopped and removed then, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    print(*describe(), load(), sep="\n")
    with tempfile.TemporaryDirectory(prefix="siteferry-bench-") as name:
        folder = Path(name)
        tree = folder / "tree"
        files = make_many(tree, asked.share)
        print(f"{files} files in {int(DIRECTORIES * asked.share)} directories, {asked.server}")
        (folder / "siteferry").mkdir()
        try:
            with running(asked.server, tls=False, link=None) as server:
                job = Job(server.fresh(), tree, folder / "siteferry", asked.limit)
                measured = list(_imports(job, files))
        except MeasurementFailed as error:
            print(f"benchmarks: {error}", file=sys.stderr)
            return 1
    print("", *rows(_HEADER, [row.cells() for row in measured]), sep="\n")
    over = [row for row in measured if not row.is_bounded]
    for row in over:
        print(f"{row.name}: worker or command needed more memory than they may", file=sys.stderr)
    return 1 if over and asked.check else 0


@dataclass(frozen=True, slots=True)
class Measured:
    """One import. redis_mib: what Redis holds after it, and the most that it ever held."""

    name: str
    result: Imported
    tasks: Mapping[str, TaskSeconds]
    worker_mib: float
    redis_mib: tuple[float, float]

    @property
    def is_bounded(self) -> bool:
        """Whether worker and command kept to their bounds."""
        return self.worker_mib <= MOST_WORKER_MIB and self.result.peak_mib <= MOST_COMMAND_MIB

    def cells(self) -> tuple[str, ...]:
        """As a row of the table."""
        seconds = {kind: self.tasks.get(kind, _NONE).sum for kind in ItemKind}
        return (
            self.name,
            f"{self.result.seconds:.1f}",
            f"{self.result.told['seconds']:.1f}",
            f"{seconds[ItemKind.PLAN]:.2f}",
            f"{seconds[ItemKind.DIRECTORY]:.1f}",
            f"{seconds[ItemKind.FILES]:.1f}",
            f"{seconds[ItemKind.PUBLISH]:.2f}",
            f"{self.worker_mib:.0f}",
            f"{self.result.peak_mib:.0f}",
            *(f"{mib:.1f}" for mib in self.redis_mib),
        )


def make_many(tree: Path, share: float = 1.0) -> int:
    """Make the tree, always the same: SECTIONS directories, in which the others are; 20 files in
    each of all of them. Gives how many files it has.

    Args:
        share: of its directories.
    """
    directories = int(DIRECTORIES * share)
    each = FILES // DIRECTORIES
    for number in range(directories):
        section, inner = number % SECTIONS, number // SECTIONS
        folder = tree / f"section-{section:02}"
        if inner:
            folder /= f"folder-{inner:03}"
        folder.mkdir(parents=True)
        for index in range(each):
            content = f"<p>page {index} of folder {number}</p>\n".encode()
            length = BYTES - 50 + (number * 7 + index * 13) % 101
            (folder / f"page-{index:02}.html").write_bytes(content.ljust(length, b"."))
    return directories * each


def _imports(job: Job, files: int) -> Iterator[Measured]:
    with standing(job) as own:
        for name, sent in (("first", files), ("unchanged", 0), ("one file changed", 1)):
            if name == "one file changed":
                changed = job.tree / "section-07" / "page-07.html"
                changed.write_bytes(b"x" * changed.stat().st_size)
            with own.worker() as worker:
                result = own.run_import(job.limit_seconds)
                peak = peak_of_all_mib(worker)
                # One that is killed with its sessions leaves their leases for a while.
                own.wait_until_logged_out()
            if result.counts != (sent, files - sent, 0):
                raise MeasurementFailed(f"siteferry counted {result.counts}, {sent} were new")
            if tree_of(job.local_dir) != tree_of(job.tree):
                raise MeasurementFailed("siteferry left another tree")
            tasks = own.task_seconds(result.told["run"])
            row = Measured(name, result, tasks, peak, own.redis_mib())
            print(*row.cells(), sep="  ", file=sys.stderr, flush=True)
            yield row


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.many_files", description=__doc__)
    parser.add_argument("--server", choices=list(SERVERS), default="pureftpd")
    parser.add_argument("--share", type=float, default=1.0, help="of the tree (default 1.0)")
    parser.add_argument(
        "--limit", type=float, default=900, help="seconds for an import (default 900)"
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help=f"1 if a worker needs more than {MOST_WORKER_MIB} MiB, or a command more than "
        f"{MOST_COMMAND_MIB}",
    )
    asked = parser.parse_args()
    if not SECTIONS / DIRECTORIES <= asked.share <= 1:
        parser.error(f"--share must be between {SECTIONS / DIRECTORIES} and 1")
    return asked


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
