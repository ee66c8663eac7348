"""The ledger's figures as Prometheus metrics. docs/metrics.md has the table; a test compares.

Nothing is kept in the process: each scrape asks the ledger anew, so any number of processes tell
the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from siteferry import __version__
from siteferry.broker import SHARED_QUEUE
from siteferry.errors import LedgerUnreachable
from siteferry.ledger.connection import Connection
from siteferry.ledger.metrics import LastRun, LedgerMetrics, Slots, read_metrics
from siteferry.log import get_logger
from siteferry.run import Direction, RunState

_ENDS = [state.value for state in RunState if state.ended]
_LIVE = [state.value for state in RunState if not state.ended]
_RETRIES = ("error", "died", "elsewhere")
_PLACES = ("waiting", "sent", "claimed", "delayed")
_COUNTERS = {
    "transferred": ("files_transferred", "Files that have arrived at their host."),
    "adopted": ("files_adopted", "Those of them that an earlier run had sent."),
    "skipped": ("files_skipped", "Files that were compared, and had been published before."),
    "failed": ("files_failed", "Files that runs which have ended could not carry."),
    "deleted": ("files_deleted", "Files that runs which have ended have deleted on their hosts."),
    "transferred_bytes": ("transferred_bytes", "Bytes of the files that have arrived."),
    "adopted_bytes": ("adopted_bytes", "Bytes of those that an earlier run had sent."),
}

_Labels = TypeVar("_Labels", bound=tuple[str, ...])

_log = get_logger(__name__)


class LedgerCollector(Collector):
    """Asks the ledger at each scrape; while Redis is away only `siteferry_ledger_up` is told, as 0.

    Args:
        connection: to the ledger, with as little patience as a scrape has.
        scheduled: gives the names of the websites that have a schedule.
    """

    def __init__(
        self, connection: Connection, scheduled: Callable[[], Iterable[str]] | None = None
    ) -> None:
        self._connection, self._scheduled = connection, scheduled
        self._is_away = False

    def collect(self) -> Iterator[Metric]:
        yield _gauge("build_info", "The version, as a label; 1.", {(__version__,): 1}, ["version"])
        if self._scheduled is not None:
            sites = {(site,): 1 for site in self._scheduled()}
            yield _gauge("website_scheduled", "The website has a schedule; 1.", sites, ["site"])
        found = self._look()
        up = "Whether the ledger answers (1); without it nothing of it is told."
        yield _gauge("ledger_up", up, {(): int(found is not None)})
        if found is not None:
            yield from _counters(found)
            yield from _now(found)
            yield from _slots("account", found.accounts)
            yield from _slots("address", found.addresses)
            yield from _sites(found.sites)

    def _look(self) -> LedgerMetrics | None:
        try:
            found = read_metrics(self._connection, SHARED_QUEUE)
        except LedgerUnreachable as error:
            if not self._is_away:
                _log.warning("no metrics of the ledger", error=str(error))
            self._is_away = True
            return None
        self._is_away = False
        return found


def _counters(found: LedgerMetrics) -> Iterator[Metric]:
    directions = sorted({Direction.IMPORT.value} | {direction for _, direction in found.totals})

    def of(whats: Mapping[str, str]) -> dict[tuple[str, ...], int]:
        """With zeros, for an increase from nothing is seen only where there was a 0."""
        return {
            (direction, label) if label else (direction,): found.totals.get((what, direction), 0)
            for direction in directions
            for what, label in whats.items()
        }

    yield _counter(
        "runs_ended", "Runs that have ended.", of({f"ended {s}": s for s in _ENDS}), "state"
    )
    for what, (name, meaning) in _COUNTERS.items():
        yield _counter(name, meaning, of({what: ""}))
    yield _counter(
        "retries",
        "Tasks that were given out again after an attempt in vain.",
        of({f"retries {reason}": reason for reason in _RETRIES}),
        "reason",
    )


def _now(found: LedgerMetrics) -> Iterator[Metric]:
    runs = {(state,): found.runs.get(state, 0) for state in _LIVE}
    yield _gauge("runs", "Runs that have not ended.", runs, ["state"])
    items = {(place,): found.items[place] for place in _PLACES}
    yield _gauge(
        "items", "Items of runs that are not finished, by where they are.", items, ["place"]
    )
    told = "Messages in the queue that all workers read."
    yield _gauge("queue_messages", told, {(): found.messages})
    told = "Worker processes that have beaten within five seconds."
    yield _gauge("workers", told, {(): found.workers})
    told = "Accounts that nobody logs in to, because their hosts have refused it."
    yield _gauge("accounts_stopped", told, {(): len(found.stopped)})
    names = {slots.name for slots in found.accounts}.union(found.stopped)
    stopped = {(name,): int(name in found.stopped) for name in sorted(names)}
    told = "Whether nobody logs in to the account (1), because its host has refused it."
    yield _gauge("account_stopped", told, stopped, ["account"])


def _slots(kind: str, rows: Sequence[Slots]) -> Iterator[Metric]:
    used = {(row.name,): row.used for row in rows}
    yield _gauge(f"{kind}_slots_used", f"Connections to the {kind} now.", used, [kind])
    configured = {(row.name,): row.configured for row in rows}
    told = f"Connections to the {kind} that the configuration allows."
    yield _gauge(f"{kind}_slots_configured", told, configured, [kind])
    learned = {(row.name,): row.learned for row in rows}
    told = f"Connections to the {kind} that its host was seen to allow, at most those configured."
    yield _gauge(f"{kind}_slots_learned", told, learned, [kind])


def _sites(rows: Sequence[LastRun]) -> Iterator[Metric]:
    good = {(row.site,): row.good for row in rows if row.good is not None}
    told = "When the website's last run that was done ended, in Unix seconds."
    yield _gauge("last_good_run_timestamp_seconds", told, good, ["site"])
    told = "When the website's last run ended, in Unix seconds."
    last = {(row.site,): row.ended for row in rows}
    yield _gauge("last_run_timestamp_seconds", told, last, ["site"])
    states = {(row.site, state): int(row.state == state) for row in rows for state in _ENDS}
    told = "How the website's last run ended: 1 for its state, 0 for the others."
    yield _gauge("last_run_state", told, states, ["site", "state"])


def _gauge(
    name: str,
    meaning: str,
    values: Mapping[_Labels, float],
    labels: Sequence[str] = (),
) -> Metric:
    family = GaugeMetricFamily(f"siteferry_{name}", meaning, labels=labels)
    for key, value in values.items():
        family.add_metric(key, value)
    return family


def _counter(
    name: str, meaning: str, values: Mapping[tuple[str, ...], float], label: str = ""
) -> Metric:
    labels = ["direction", label] if label else ["direction"]
    family = CounterMetricFamily(f"siteferry_{name}", meaning, labels=labels)
    for key, value in values.items():
        family.add_metric(key, value)
    return family
