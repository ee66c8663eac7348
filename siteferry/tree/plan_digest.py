"""Names a plan by what it does, so that a run can carry out just that, or refuse."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass

from siteferry.errors import PlanOutdated


@dataclass(frozen=True, slots=True, order=True)
class Step:
    """One file that a plan puts on the server or deletes there."""

    path: str
    size: int | None = None
    sha256: str | None = None

    @classmethod
    def put(cls, path: str, size: int, sha256: str) -> Step:
        """The file `path` gets this content: bytes and SHA-256 in hex."""
        return cls(path, size, sha256)

    @classmethod
    def delete(cls, path: str) -> Step:
        """The file `path` goes."""
        return cls(path)


def plan_digest(steps: Iterable[Step]) -> str:
    """SHA-256 (hex) over all steps, in whatever order they come."""
    sha256 = hashlib.sha256()
    for row in sorted(json.dumps([s.path, s.size, s.sha256], ensure_ascii=False) for s in steps):
        sha256.update(row.encode("utf-8", "surrogateescape") + b"\n")
    return sha256.hexdigest()


def check_expected(steps: Iterable[Step], expected: str) -> None:
    """See that `steps` are those of the plan whose digest is `expected`.

    Raises:
        PlanOutdated: they are not.
    """
    if plan_digest(steps) != expected:
        raise PlanOutdated(
            "the source or the server has changed since the plan was made; nothing was changed",
            next_step="Make the plan anew (siteferry plan SITE --out FILE), look at it, and carry "
            "that out.",
        )
