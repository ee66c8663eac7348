"""Celery tasks of the consumer's side; thin: `dispatch.carry` does the rest."""

from __future__ import annotations

from typing import Any

from celery import shared_task

from siteferry.broker import TASKS
from siteferry.dispatch.carry import carry
from siteferry.dispatch.process import current_runtime
from siteferry.run import ItemKind
from siteferry.task_states import EXPECTED, member_of, show_state
from worker.publish import PublishStep
from worker.transfer import FilesStep


@shared_task(name=TASKS[ItemKind.FILES], bind=True, throws=EXPECTED)  # type: ignore[untyped-decorator]
def files(self: Any, run: str, item: str, attempt: int) -> str:
    """Send a batch of files."""
    member = member_of(self.request, run, item, attempt)
    return show_state(self.request, carry(current_runtime(), member, FilesStep()))


@shared_task(name=TASKS[ItemKind.PUBLISH], bind=True, throws=EXPECTED)  # type: ignore[untyped-decorator]
def publish(self: Any, run: str, item: str, attempt: int) -> str:
    """Publish a run."""
    member = member_of(self.request, run, item, attempt)
    return show_state(self.request, carry(current_runtime(), member, PublishStep()))
