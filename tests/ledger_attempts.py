"""Attempts as a worker's thread has them in hand, without FTP: what they know, and what they tell.

They stand for `siteferry.dispatch.work` and the steps: an attempt settles paths, and tells at its
end all that it has settled. It does not know whether it still counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from siteferry.ledger.items import Child, Claim, Finish, Kept, Outcome, Status
from siteferry.run import ItemKind, Member, RunState

NONE_MOVED = {"error": "refused", "reply": "550 no", "attempts": 1}


@dataclass(frozen=True, slots=True)
class Website:
    """What a run will find.

    batches: for each directory the number of files in each of its file items. refuses: the plan
    finds a name that the host cannot have. poison: the first file item never succeeds.
    """

    batches: tuple[tuple[int, ...], ...]
    refuses: bool = False
    poison: bool = False

    def paths(self, directory: int, batch: int) -> list[str]:
        return [f"{directory}/{batch}/{n}" for n in range(self.batches[directory][batch])]

    def all_paths(self, dry: bool) -> set[str]:
        """What the records of a run of it are about, once nothing is left to do."""
        found = {"refused"} if self.refuses else set()
        if not dry:
            for directory, batches in enumerate(self.batches):
                for batch in range(len(batches)):
                    found.update(self.paths(directory, batch))
        return found

    def is_poison(self, item: str) -> bool:
        return self.poison and item == "files-0-0"

    def finish(self, item: str, dry: bool) -> Finish:
        """What `item` leaves besides outcomes of its files."""
        kind = ItemKind.of(item)
        if kind is ItemKind.PLAN:
            count = len(self.batches)
            fields = {"state": RunState.TRANSFERRING.value, "planned": 1}
            refused = [Outcome("refused", Status.FAILED, NONE_MOVED)] if self.refuses else []
            children = [Child(f"directory-{n}", {"directories": [n]}) for n in range(count)]
            return Finish(refused, children, fields, {"comparing": count})
        if kind is ItemKind.DIRECTORY:
            directory = int(item.partition("-")[2])
            batches = range(0 if dry else len(self.batches[directory]))
            return Finish(
                children=[
                    Child(f"files-{directory}-{n}", {"files": self.paths(directory, n)}, first=True)
                    for n in batches
                ],
                counts={"comparing": -1, "skipped": 2, "adopted": 1, "adopted_bytes": 5},
            )
        return Finish(counts={"deleted": 3} if kind is ItemKind.PUBLISH else {})


def size_of(path: str) -> int:
    """Bytes; some files are empty."""
    return sum(map(ord, path)) % 7


@dataclass(eq=False)
class Attempt:
    """A claimed attempt.

    left: paths without an outcome. parts: what stands of some of these. further: some of it goes
    beyond what stood before.
    """

    member: Member
    node: str
    claim: Claim
    left: list[str]
    furthest: dict[str, int]
    outcomes: list[Outcome] = field(default_factory=list)
    parts: dict[str, Kept] = field(default_factory=dict)
    further: bool = False

    def __repr__(self) -> str:
        return f"<{self.member} by {self.node}>"

    @property
    def kind(self) -> ItemKind:
        return ItemKind.of(self.member.item)

    @property
    def progressed(self) -> bool:
        return bool(self.outcomes) or self.further

    @property
    def fruitless(self) -> int:
        """Attempts in a row without progress before this one, as `decide` is told of them."""
        return 0 if self.progressed else self.claim.fruitless

    def settle(self, path: str, arrives: bool) -> None:
        self.left.remove(path)
        self.parts.pop(path, None)
        if arrives:
            self.outcomes.append(Outcome(path, Status.TRANSFERRED, {"staged": 1}, size_of(path)))
        else:
            self.outcomes.append(Outcome(path, Status.FAILED, NONE_MOVED))

    def keep(self, path: str, offset: int) -> None:
        """So many bytes of it stand."""
        self.parts[path] = Kept(path, f".ht{offset}", 100, offset, "00" * 32, False)
        self.further = self.further or offset > self.furthest.get(path, 0)

    def whole(self, finish: Finish, besides: Sequence[Outcome] = ()) -> Finish:
        """`finish` with all that this attempt has settled."""
        outcomes = [*self.outcomes, *finish.outcomes, *besides]
        return Finish(outcomes, finish.children, finish.fields, finish.counts)
