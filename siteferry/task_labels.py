"""What a message shows of its item to people, in Flower and other monitors of Celery's: never more
than names of websites, runs, directories and files.

The name holds the website, so there are as many names as websites times the four kinds of items:
monitors count by them. What is unbounded stands in the arguments, and the run in the keyword
arguments (which siteferry's tasks do not have).
"""

from __future__ import annotations

import re
from dataclasses import replace

from siteferry.run import Member

_SITE = re.compile(r"\[([^\]]*)\]$")
_ALL = "the whole website"


def shown_name(task: str, member: Member) -> str | None:
    """`siteferry.files[example]`; None, which is the task's own name, where no site is known."""
    return f"{task}[{member.site}]" if member.site else None


def shown_arguments(member: Member) -> str:
    """`example: wp-content/uploads (64 files)`; the item's name where no site is known."""
    return f"{member.site}: {member.label or _ALL}" if member.site else member.item


def shown_run(member: Member) -> str:
    """`run 20261124-150501-9f2c1a, attempt 2`."""
    return f"run {member.run}, attempt {member.attempt}"


def member_shown(member: Member, name: str | None, arguments: str | None) -> Member:
    """The member with the site and the label that its message shows; see `shown_name` and
    `shown_arguments`. A message of a version that showed none gives none."""
    found = _SITE.search(name or "")
    if found is None:
        return member
    label = (arguments or "").removeprefix(f"{found[1]}: ")
    return replace(member, site=found[1], label="" if label == _ALL else label)
