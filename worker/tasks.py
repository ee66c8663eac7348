"""Celery tasks of the consumer's side; thin: `dispatch.carry` does the rest."""

from __future__ import annotations

from celery import shared_task

from siteferry.broker import TASKS
from siteferry.dispatch.carry import carry
from siteferry.dispatch.process import current_runtime
from siteferry.run import ItemKind, Member
from worker.publish import PublishStep
from worker.transfer import FilesStep


@shared_task(name=TASKS[ItemKind.FILES])  # type: ignore[untyped-decorator]
def files(run: str, item: str, attempt: int) -> None:
    """Send a batch of files."""
    carry(current_runtime(), Member(run, item, attempt), FilesStep())


@shared_task(name=TASKS[ItemKind.PUBLISH])  # type: ignore[untyped-decorator]
def publish(run: str, item: str, attempt: int) -> None:
    """Publish a run."""
    carry(current_runtime(), Member(run, item, attempt), PublishStep())
