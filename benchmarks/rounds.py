"""Rounds: each measures both clients on one server, one right after the other."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.clients import REMOTE, Import, MeasurementFailed, Siteferry, lftp_mirror
from tests.installation import left_over, tree_of
from tests.servers.base import FtpServer, remove_tree


@dataclass(frozen=True, slots=True)
class Round:
    """What one round has measured; both trees were the same as the source, byte for byte."""

    first: Import
    unchanged: Import
    lftp_seconds: float

    @property
    def ratio(self) -> float:
        """Transfer and publish against lftp's whole command."""
        return self.first.run_seconds / self.lftp_seconds


@dataclass(frozen=True, slots=True)
class Measured:
    """All rounds on one server. Every figure is a median over the rounds."""

    server: str
    rounds: Sequence[Round]

    @property
    def wall_seconds(self) -> float:
        return median(r.first.wall_seconds for r in self.rounds)

    @property
    def run_seconds(self) -> float:
        return median(r.first.run_seconds for r in self.rounds)

    @property
    def publish_seconds(self) -> float:
        return median(r.first.publish_seconds for r in self.rounds)

    @property
    def overhead_seconds(self) -> float:
        return median(r.first.overhead_seconds for r in self.rounds)

    @property
    def lftp_seconds(self) -> float:
        return median(r.lftp_seconds for r in self.rounds)

    @property
    def ratio(self) -> float:
        """Of the pairs' ratios, for what disturbs the machine disturbs both of a pair."""
        return median(r.ratio for r in self.rounds)

    @property
    def unchanged_wall_seconds(self) -> float:
        return median(r.unchanged.wall_seconds for r in self.rounds)

    @property
    def unchanged_run_seconds(self) -> float:
        return median(r.unchanged.run_seconds for r in self.rounds)


def measure_round(
    server: FtpServer, tree: Path, expected: Mapping[str, str], *, lftp_first: bool
) -> Round:
    """One round.

    Args:
        expected: `tree_of(tree)`.
        lftp_first: who begins; rounds take turns, so that neither always finds the warmer caches.

    Raises:
        MeasurementFailed: a client failed, or what it left on the server is not the source.
    """
    lftp = measure_lftp(server, tree, expected) if lftp_first else None
    first, unchanged = measure_siteferry(server, tree, expected)
    if lftp is None:
        lftp = measure_lftp(server, tree, expected)
    return Round(first, unchanged, lftp)


def measure_siteferry(
    server: FtpServer, tree: Path, expected: Mapping[str, str]
) -> tuple[Import, Import]:
    """An import of everything, and a second one with nothing changed."""
    area = server.fresh()
    try:
        with tempfile.TemporaryDirectory(prefix="siteferry-bench-") as folder:
            siteferry = Siteferry(Path(folder, "installation"), area, tree)
            os.sync()
            first = siteferry.import_site()
            _check_tree("siteferry", area.root / REMOTE, expected)
            if rest := left_over(area.root / REMOTE):
                raise MeasurementFailed(f"siteferry left {rest[:5]} on the server")
            unchanged = siteferry.import_site()
            _check_tree("siteferry", area.root / REMOTE, expected)
    finally:
        remove_tree(area.root)
    files = sum(kind != "directory" for kind in expected.values())
    if (first.uploaded, unchanged.uploaded, unchanged.skipped) != (files, 0, files):
        raise MeasurementFailed(f"siteferry counted wrongly: {first}, then {unchanged}")
    return first, unchanged


def measure_lftp(server: FtpServer, tree: Path, expected: Mapping[str, str]) -> float:
    """One mirror of everything, in seconds."""
    area = server.fresh()
    try:
        with tempfile.TemporaryDirectory(prefix="siteferry-bench-") as folder:
            os.sync()
            seconds = lftp_mirror(Path(folder), area, tree)
        _check_tree("lftp", area.root / REMOTE, expected)
    finally:
        remove_tree(area.root)
    return seconds


def _check_tree(client: str, live: Path, expected: Mapping[str, str]) -> None:
    found = tree_of(live)
    if found != expected:
        paths = found.keys() | expected.keys()
        differing = sorted(path for path in paths if found.get(path) != expected.get(path))
        raise MeasurementFailed(f"{client} left another tree: {differing[:5]} …")
