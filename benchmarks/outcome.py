"""What a measurement gives: how one client's run ended, in how many seconds, and what it told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self

Status = Literal["done", "over limit", "refused", "failed"]


class MeasurementFailed(Exception):
    """siteferry or the set-up did not do its work, so the figures mean nothing."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one client.

    `seconds`: until its end; with `over limit` the limit, at which it was ended. `refused`: the
    server did not take its data connections. `facts`: what else it told, by names with units.
    """

    status: Status
    seconds: float
    facts: Mapping[str, float] = field(default_factory=dict)
    note: str = ""

    def as_json(self) -> dict[str, Any]:
        told: dict[str, Any] = {"status": self.status, "seconds": round(self.seconds, 3)}
        if self.facts:
            told["facts"] = {name: round(value, 3) for name, value in self.facts.items()}
        if self.note:
            told["note"] = self.note
        return told

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Self:
        return cls(told["status"], told["seconds"], told.get("facts", {}), told.get("note", ""))
