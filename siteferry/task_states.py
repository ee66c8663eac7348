"""How an attempt's end becomes a state of Celery's task, for monitors of Celery's such as Flower.

The ledger was told before and decides alone; nothing here has Celery send, keep or repeat anything:

| ended    | state   | shows                                                       |
| -------- | ------- | ----------------------------------------------------------- |
| done     | SUCCESS | what was done, as the result                                |
| again    | RETRY   | why, and when; the next attempt is a task of its own        |
| failed   | FAILURE | why; each failed file with the server's words, as traceback |
| dropped  | SUCCESS | that there was nothing to do                                |

A message that was delivered a second time bears the name of the first one, whose state is left.
"""

from __future__ import annotations

from typing import Any

from celery.exceptions import Ignore, Retry

from siteferry.run import Ended, Ending, Member
from siteferry.task_labels import member_shown


class ItemEnded(Exception):
    """An attempt's bad end, as Celery's events carry it: its repr is one line, its text all lines.

    Args:
        reason: one line.
        details: more lines.
    """

    def __init__(self, reason: str, details: str = "") -> None:
        self.reason = reason
        self.details = details
        super().__init__(reason, details)

    def __repr__(self) -> str:
        return self.reason

    def __str__(self) -> str:
        return f"{self.reason}\n{self.details}" if self.details else self.reason


class TriedAgain(Retry):  # type: ignore[misc]
    """The same of an attempt that is followed by another one. Celery sends no message for it: it
    has one sent only by `Task.retry`, which raises this."""

    def __repr__(self) -> str:
        return repr(self.exc)

    def __str__(self) -> str:
        return str(self.exc)


EXPECTED = (ItemEnded,)
"""For `throws` of the tasks: Celery logs no traceback of these; siteferry's log has told why."""


def member_of(request: Any, run: str, item: str, attempt: int) -> Member:
    """The attempt that a task's arguments name, with what its message shows of it.

    Args:
        request: the task's, of Celery.
    """
    shown, arguments = request.get("shadow"), request.get("argsrepr")
    return member_shown(Member(run, item, attempt), shown, arguments)


def show_state(request: Any, ended: Ended) -> str:
    """Give the result that the task returns, or raise what Celery turns into the task's state.

    Raises:
        ItemEnded: the task has failed.
        TriedAgain: it goes on as the next attempt, which is none of Celery's doing.
        Ignore: it is a second delivery, and not ours to do.
    """
    if ended.ending is Ending.DROPPED and (request.delivery_info or {}).get("redelivered"):
        raise Ignore from None
    if ended.ending not in (Ending.AGAIN, Ending.FAILED):
        return ended.text
    error = ItemEnded(ended.text, "\n".join(ended.details))
    if ended.ending is Ending.FAILED:
        raise error from None
    raise TriedAgain(ended.text, error, ended.delay_seconds) from None
