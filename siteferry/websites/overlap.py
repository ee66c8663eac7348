"""Websites that write to the same place, or one inside the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from siteferry.websites.models import Website
from siteferry.websites.naming import account, normal_remote_dir

Place = Literal["remote_dir", "staging_dir"]

DEFAULT_STAGING_NAME = ".htsiteferry"
"""Where a website stages inside its remote directory, unless it says otherwise."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """`inner`'s place is `outer`'s place, or lies in it."""

    outer: str
    """Website by name; of two with equal places, the one that comes first."""
    outer_place: Place
    inner: str
    inner_place: Place
    below: str
    """The inner place relative to the outer one, empty where both are one."""

    @property
    def equal(self) -> bool:
        """Whether each would replace what the other has there: files, or manifest and journal."""
        return not self.below


def find_overlaps(websites: Sequence[Website]) -> list[Overlap]:
    """Every two websites of one account whose remote directories are equal or nested, or of which
    one stages in the other's remote directory, or both in one place.

    Accounts are compared by name (`account`): host, port and user as they are written. Two names of
    one host, its ports 21 and 990, a user that is written out and one given by a reference, or two
    references to the same user cannot be told to be one. A reference holds the website's own name
    where no user is given at all, so such a website is compared with none.
    """
    accounts: dict[str, list[Website]] = {}
    for website in websites:
        accounts.setdefault(account(website), []).append(website)
    return [
        overlap
        for together in accounts.values()
        for one, other in combinations(together, 2)
        for overlap in _between(one, other)
    ]


def nested_below(website: Website, websites: Iterable[Website]) -> frozenset[str]:
    """The published paths of `website` that belong to other websites of its account: where they
    publish and where they stage, relative to its remote directory. Whatever lies there must be left
    alone by what this website deletes.

    A website with the same remote directory is not in it: what it owns cannot be told from the
    path. `find_overlaps` tells of it.
    """
    found: set[str] = set()
    for other in websites:
        if other.name == website.name or account(other) != account(website):
            continue
        directory = _below(_remote_dir(other), _remote_dir(website))
        staging = _below(_staging_dir(other), _remote_dir(website))
        if directory == "":
            continue
        if directory is not None:
            found.add(directory)
        if staging and (directory is None or _below(staging, directory) is None):
            found.add(staging)
    return frozenset(found)


def _between(one: Website, other: Website) -> Iterator[Overlap]:
    directory, other_directory = _remote_dir(one), _remote_dir(other)
    if directory == other_directory:
        yield Overlap(one.name, "remote_dir", other.name, "remote_dir", "")
        return  # all else follows from it
    staging, other_staging = _staging_dir(one), _staging_dir(other)
    for outer, outer_path, inner, inner_path, inner_staging in (
        (one, directory, other, other_directory, other_staging),
        (other, other_directory, one, directory, staging),
    ):
        if below := _below(inner_path, outer_path):
            yield Overlap(outer.name, "remote_dir", inner.name, "remote_dir", below)
            if _below(inner_staging, inner_path) is not None:
                continue  # it lies in the outer one with its website
        below_staging = _below(inner_staging, outer_path)
        if below_staging is not None:
            yield Overlap(outer.name, "remote_dir", inner.name, "staging_dir", below_staging)
    if staging == other_staging:
        yield Overlap(one.name, "staging_dir", other.name, "staging_dir", "")


def _remote_dir(website: Website) -> str:
    return normal_remote_dir(website.ftp.remote_dir)


def _staging_dir(website: Website) -> str:
    if website.ftp.staging_dir is not None:
        return normal_remote_dir(website.ftp.staging_dir)
    return f"{_remote_dir(website).rstrip('/')}/{DEFAULT_STAGING_NAME}"


def _below(path: str, directory: str) -> str | None:
    """`path` relative to `directory`, both normal or both relative; None if it lies elsewhere."""
    if path == directory:
        return ""
    base = f"{directory.rstrip('/')}/"
    return path.removeprefix(base) if path.startswith(base) else None
