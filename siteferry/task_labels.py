"""What a message shows of its item to people, in Flower and other monitors of Celery's: never more
than names of websites, runs, directories and files.

The name holds the website, so there are as many names as websites times the four kinds of items:
monitors count by them. What is unbounded, such as paths and runs, stands in the arguments.
"""

from __future__ import annotations

import re

from siteferry.run import Member

_SITE = re.compile(r"\[([^\]]*)\]$")


def shown_name(task: str, member: Member) -> str | None:
    """`siteferry.files[example]`; None, which is the task's own name, where no site is known."""
    return f"{task}[{member.site}]" if member.site else None


def shown_arguments(member: Member) -> str:
    """`example: wp-content/uploads (64 files), run 20261124-150501-9f2c1a, attempt 2`."""
    return f"{_beginning(member.site, member.label)}{_end(member)}"


def member_shown(member: Member, name: str | None, arguments: str | None) -> Member:
    """The member with the site and the label that its message shows; see `shown_name` and
    `shown_arguments`. A message of a version that showed none gives none."""
    found = _SITE.search(name or "")
    if found is None or not arguments:
        return member
    site = found[1]
    label = arguments.removesuffix(_end(member)).removeprefix(site).removeprefix(": ")
    return Member(member.run, member.item, member.attempt, site, label)


def _beginning(site: str, label: str) -> str:
    return ": ".join(filter(None, (site, label)))


def _end(member: Member) -> str:
    text = f"run {member.run}, attempt {member.attempt}"
    return f", {text}" if member.site or member.label else text
