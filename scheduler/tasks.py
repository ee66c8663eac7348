"""Celery tasks of the producer's side; thin: `dispatch.carry` does the rest."""

from __future__ import annotations

from typing import Any

from celery import shared_task

from scheduler.directories import DirectoryStep
from scheduler.plan import PlanStep
from siteferry.broker import TASKS
from siteferry.dispatch.carry import carry
from siteferry.dispatch.process import current_runtime
from siteferry.run import ItemKind
from siteferry.task_states import EXPECTED, member_of, show_state


@shared_task(name=TASKS[ItemKind.PLAN], bind=True, throws=EXPECTED)  # type: ignore[untyped-decorator]
def plan(self: Any, run: str, item: str, attempt: int) -> str:
    """Plan a run."""
    member = member_of(self.request, run, item, attempt)
    return show_state(self.request, carry(current_runtime(), member, PlanStep()))


@shared_task(name=TASKS[ItemKind.DIRECTORY], bind=True, throws=EXPECTED)  # type: ignore[untyped-decorator]
def directory(self: Any, run: str, item: str, attempt: int) -> str:
    """Compare a few directories."""
    member = member_of(self.request, run, item, attempt)
    return show_state(self.request, carry(current_runtime(), member, DirectoryStep()))
