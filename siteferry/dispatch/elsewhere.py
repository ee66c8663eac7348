"""Items whose worker does not have the website's sources: offered around until one has them."""

from __future__ import annotations

import random

from siteferry.dispatch.policy import Again, decide_elsewhere
from siteferry.dispatch.work import Work
from siteferry.errors import SourceElsewhere
from siteferry.ledger.items import Elsewhere
from siteferry.log import get_logger

_log = get_logger(__name__)


def offer_again(work: Work, error: SourceElsewhere) -> tuple[Again | None, SourceElsewhere]:
    """Whether the item is offered again, and the error to tell; the run's report names the worker.

    Raises:
        LedgerUnreachable: Redis does not answer.
    """
    node = work.runtime.node
    text = f"{error.message}, so others carry its items. {error.next_step}"
    if work.warn_once(f"elsewhere:{node}", text):
        _log.warning("the sources are elsewhere", error=str(error))
    # A source that went away in the middle begins the series anew.
    before = Elsewhere() if work.progressed else work.claim.elsewhere
    nodes = before.nodes | {node}
    others = bool(set(work.runtime.slots.nodes()) - nodes)
    again = decide_elsewhere(before.tries + 1, before.seconds, random.random(), others=others)
    if again is not None:
        return again, error
    return None, SourceElsewhere(
        f"no worker has the sources of website {work.claim.facts['site']}: not on "
        f"{', '.join(sorted(nodes))}; on {node}: {error.message}",
        next_step="Mount the workspace at the same path for every worker, with the website's file, "
        "or stop the workers that lack it; then run the same import again.",
    )
