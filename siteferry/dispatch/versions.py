"""Runs that were started by another version of siteferry than the one that carries them."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from siteferry import __version__
from siteferry.log import get_logger

if TYPE_CHECKING:
    from siteferry.dispatch.work import Work

_MOST_RUNS = 1000

_log = get_logger(__name__)


@dataclass(slots=True)
class Versions:
    """Of one worker process: what it has told already costs it nothing more."""

    own: str = __version__
    _runs: set[str] = field(default_factory=set)
    _logged: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def compare(self, work: Work) -> None:
        """Have the run's report say when it was started by another version: once for each pair of
        versions, whatever number of workers and items; this process' log says it once for each.

        Raises:
            LedgerUnreachable: Redis does not answer.
        """
        theirs, run = work.claim.facts.get("version", ""), work.member.run
        if theirs == self.own or run in self._runs:
            return
        starter = f"siteferry {theirs}" if theirs else "an older siteferry"
        work.warn_once(
            f"version:{theirs}:{self.own}",
            f"this run was started by {starter}, and worker {work.runtime.node} is {self.own}: "
            "results may differ; bring both to one version",
        )
        with self._lock:
            if len(self._runs) >= _MOST_RUNS:
                self._runs.clear()
            self._runs.add(run)
            is_new = theirs not in self._logged
            self._logged.add(theirs)
        if is_new:
            _log.warning("started by another version", theirs=theirs or "older", own=self.own)
