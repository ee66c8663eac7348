"""What a command says when Redis no longer knows the runs that it follows."""

from __future__ import annotations

from collections.abc import Sequence

from siteferry.errors import RunLost
from siteferry.run import RunState, Snapshot


def lost(runs: Sequence[Snapshot]) -> RunLost:
    """The error for runs that the ledger has forgotten.

    Args:
        runs: as they were seen last; at least one.
    """
    publishing = [run for run in runs if run.state is RunState.PUBLISHING]
    last = (publishing or runs)[0]
    count = f" ({len(runs):,} runs are lost)" if len(runs) > 1 else ""
    if publishing:
        sites = " ".join(run.site for run in publishing)
        return RunLost(
            f"Redis has lost its data, and with it run {last.run}, which was publishing{count}: "
            f"until that is finished, {sites} may show some old and some new files",
            next_step=f"Start the next import now: siteferry import {sites}. It finishes the "
            "publish first, from what stands on the server.",
        )
    # It may have begun to publish in the moment between our last look and the loss.
    return RunLost(
        f"Redis has lost its data, and with it run {last.run}, which was {last.state.value} when "
        f"last seen{count}: unless it had begun to publish since, {last.site} is as it was",
        next_step="Run the same import again: it does what is left, and first finishes a publish "
        "that had begun.",
    )
