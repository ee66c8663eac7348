"""Counts the round trips of a second run with nothing changed, on the wire, over loopback."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.clients.base import Job
from benchmarks.outcome import MeasurementFailed
from benchmarks.servers import running
from benchmarks.standing import standing
from tests.servers.wire_turns import TurnsProxy

_MERGE_SECONDS = 0.004
_TEXT_CHARACTERS = 90


def count_unchanged(server_name: str, tree: Path, limit_seconds: float) -> list[list[str]]:
    """The round trips after the login of an import that finds nothing to send, as
    `TurnsProxy.after_login` tells them.

    The same worker has carried an import of the tree before, through the same proxy, and has logged
    out. Slow start is not in it: a manifest beyond a first window (some 14 kB) takes more.
    """
    with (
        tempfile.TemporaryDirectory(prefix="siteferry-bench-") as folder,
        running(server_name, tls=False, link=None) as server,
        TurnsProxy(server.fresh(), merge_seconds=_MERGE_SECONDS) as proxy,
        standing(Job(proxy.server, tree, Path(folder), limit_seconds)) as own,
        own.worker(),
    ):
        own.run_import(limit_seconds)
        own.wait_until_logged_out()
        logins = proxy.logins
        proxy.turns.clear()
        again = own.run_import(limit_seconds)
        if again.counts[0] or again.counts[2] or proxy.logins != logins + 1:
            raise MeasurementFailed(f"{again.counts}, {proxy.logins - logins} logins")
        own.wait_until_logged_out()
        return proxy.after_login()


def described(turns: Sequence[Sequence[str]]) -> Iterator[str]:
    """A line for each round trip."""
    data = itertools.cycle(("(data: connect)", "(data: content)"))
    for number, turn in enumerate(turns, 1):
        yield f"{number:3}  {' | '.join(turn)[:_TEXT_CHARACTERS] or next(data)}"
