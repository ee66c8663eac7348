"""What a command says when the user has interrupted it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import click


@dataclass(frozen=True, slots=True)
class Interrupted:
    """How many of the runs that a command had started are cancelled now, publish, or had ended."""

    runs: int
    cancelled: int
    publishing: int
    ended: int


def tell_interrupted(now: Interrupted, not_begun: int = 0) -> None:
    """Say on standard error what became of the runs.

    Args:
        not_begun: websites that were to be imported, and for which no run was started.
    """
    if now.runs == 1 and not not_begun:
        if now.cancelled:
            click.echo("interrupted: nothing of the live site was touched", err=True)
    else:
        click.echo(f"interrupted: {', '.join(_counts(now, not_begun))}", err=True)
    if now.publishing:
        click.echo(
            "publishing has begun and is only ever finished; interrupt again to leave it to the "
            "workers, or with the private server to the next command",
            err=True,
        )


def _counts(now: Interrupted, not_begun: int) -> Iterator[str]:
    if now.cancelled:
        yield f"{now.cancelled:,} cancelled before they touched a live site"
    if now.publishing:
        yield f"{now.publishing:,} on their way through publishing"
    if now.ended:
        yield f"{now.ended:,} had ended"
    if not_begun:
        yield f"{not_begun:,} left that were not begun"
