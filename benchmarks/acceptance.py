"""The bounds: for each what was measured, and whether it is kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.cases import CASES
from benchmarks.results_file import Result, Results
from benchmarks.servers import SERVER_NAMES, SERVERS

_ALL = tuple(SERVERS)
_NAMES = {
    "overhead_seconds": "seconds of the whole command beyond the run",
    "peak_mib": "peak in MiB",
}


@dataclass(frozen=True, slots=True)
class Bound:
    """What one figure of a case may be at most, on each of `servers`.

    `peer`: the figure is the ratio of two medians of seconds, `client`'s and the peer's; where the
    peer was ended at its limit the true ratio is lower still. Without a peer it is the fact `fact`
    of `client`. `goal`: what we would like.
    """

    case: str
    most: float
    goal: float | None = None
    client: str = "engine"
    peer: str | None = "lftp"
    fact: str | None = None
    servers: tuple[str, ...] = _ALL

    def title(self, server: str) -> str:
        figure = f"{self.client} / {self.peer}" if self.peer else _NAMES[self.fact or ""]
        return f"{CASES[self.case].title}, {SERVER_NAMES[server]}: {figure}"

    def figure(self, result: Result) -> tuple[str, float] | None:
        """The figure, and a sign that goes before it; None if it was not measured."""
        own = result.fact(self.client, self.fact)
        if own is None or self.peer is None:
            return None if own is None else ("", own)
        peer = result.seconds(self.peer)
        if peer is not None:
            return "", own / peer
        limit = result.limit(self.peer)
        return None if limit is None else ("< ", own / limit)


BOUNDS = (
    Bound("wordpress-plain-20ms", 0.55, 0.48, servers=("pureftpd", "proftpd")),
    Bound("wordpress-plain-80ms", 0.55, 0.48, servers=("pureftpd", "proftpd")),
    Bound("wordpress-plain-20ms", 0.70, 0.55, servers=("vsftpd",)),
    Bound("wordpress-plain-loopback", 1.1, 0.9),
    Bound("wordpress-ftps-loopback", 0.30, 0.18),
    Bound("wordpress-ftps-20ms", 0.48, 0.40, servers=("pureftpd",)),
    Bound("wordpress-plain-20ms", 0.25, 0.20, peer="rclone"),
    Bound("large-plain-loopback", 1.3, 1.1),
    Bound("wordpress-plain-loopback", 2.5, client="command", peer=None, fact="overhead_seconds"),
    Bound("memory-many", 150, client="worker", peer=None, fact="peak_mib", servers=("vsftpd",)),
    Bound("memory-large", 150, client="worker", peer=None, fact="peak_mib", servers=("vsftpd",)),
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A bound on one server. `figure` is None, and `kept` too, where nothing was measured."""

    bound: Bound
    server: str
    sign: str
    figure: float | None

    @property
    def kept(self) -> bool | None:
        return None if self.figure is None else self.figure <= self.bound.most

    @property
    def word(self) -> str:
        return {True: "kept", False: "NOT KEPT", None: "not measured"}[self.kept]

    def cells(self) -> list[str]:
        """As a row: what, the figure, the bound, the goal, the word."""
        places = 0 if self.bound.fact == "peak_mib" else 2
        figure = "–" if self.figure is None else f"{self.sign}{self.figure:.{places}f}"
        goal = "–" if self.bound.goal is None else f"{self.bound.goal:g}"
        return [self.bound.title(self.server), figure, f"{self.bound.most:g}", goal, self.word]


HEADER = ["what", "measured", "at most", "goal", ""]


def verdicts(results: Results) -> Iterator[Verdict]:
    """One for each bound and server, in the order of the bounds."""
    for bound in BOUNDS:
        for server in bound.servers:
            result = results.get((bound.case, server))
            found = bound.figure(result) if result else None
            yield Verdict(bound, server, *(found or ("", None)))
