"""What a command says when Redis no longer knows the run that it follows."""

from __future__ import annotations

from siteferry.errors import RunLost
from siteferry.run import RunState, Snapshot


def lost(last: Snapshot) -> RunLost:
    """The error for a run that the ledger has forgotten.

    Args:
        last: how it was seen last.
    """
    if last.state is RunState.PUBLISHING:
        return RunLost(
            f"Redis has lost its data, and with it run {last.run}, which was publishing: until "
            f"that is finished, {last.site} may show some old and some new files",
            next_step=f"Start the next import now: siteferry import {last.site}. It finishes the "
            "publish first, from what stands on the server.",
        )
    return RunLost(
        f"Redis has lost its data, and with it run {last.run}, which was {last.state.value}: "
        f"nothing of {last.site} was published, the live site is as it was",
        next_step="Run the same import again; if the run had begun to publish after all, that is "
        "finished first.",
    )
