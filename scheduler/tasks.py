"""Celery tasks of the producer's side; thin: `dispatch.carry` does the rest."""

from __future__ import annotations

from celery import shared_task

from scheduler.directories import DirectoryStep
from scheduler.plan import PlanStep
from siteferry.broker import TASKS
from siteferry.dispatch.carry import carry
from siteferry.dispatch.process import current_runtime
from siteferry.run import ItemKind, Member


@shared_task(name=TASKS[ItemKind.PLAN])  # type: ignore[untyped-decorator]
def plan(run: str, item: str, attempt: int) -> None:
    """Plan a run."""
    carry(current_runtime(), Member(run, item, attempt), PlanStep())


@shared_task(name=TASKS[ItemKind.DIRECTORY])  # type: ignore[untyped-decorator]
def directory(run: str, item: str, attempt: int) -> None:
    """Compare a few directories."""
    carry(current_runtime(), Member(run, item, attempt), DirectoryStep())
