"""What stands in a Redis below the ledger's prefix, in the terms of `tests.ledger_model`; time that
passes without anybody waiting for it; and a Redis that comes back without its last second.

The ledger's clock is Redis' own TIME, which no test can set. But all that the scripts look at are
differences to times that they have written themselves: in `beats`, `nodes`, `delayed` and the
windows. `set_clock` writes there how long ago everything was, as it would stand if that time had
gone by; the model says how long.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import redis

from siteferry.ledger.connection import Connection
from siteferry.ledger.metrics import read_metrics
from siteferry.run import Member, RunState
from tests.ledger_model import LedgerModel, ModelRun, Place

_LASTING = {"runs", "live", "beats", "delayed", "nodes", "sweeper"}
_OF_AN_ENDED_RUN = {
    "", "attempts", "fruitless", "claims", "replies", "outcomes", "failures", "parts", "workers",
    "warnings",
}  # fmt: skip
_STAGED = {"outcomes", "parts"}
_NOT_DUE_SECONDS, _DEAD_SECONDS = 3600, 10

Saved = dict[bytes, tuple[bytes, int]]


@dataclass
class LedgerView:
    """Reads, and sets the clock. `raw` is a client whose answers are bytes."""

    connection: Connection
    raw: redis.Redis
    accounts: Collection[str]
    _client: Any = field(init=False)

    def __post_init__(self) -> None:
        self._client = self.connection.client

    def check(self, model: LedgerModel) -> None:
        """Raises AssertionError with what stands otherwise in Redis than the model says."""
        self._check_whole(model)
        for name, run in model.runs.items():
            if run.state.ended:
                self._check_ended(model, name, run)
            else:
                self._check_live(name, run)

    def _same(self, what: str, found: object, wanted: object) -> None:
        assert found == wanted, f"{what}: {found} in Redis, {wanted} in the model"

    def _check_whole(self, model: LedgerModel) -> None:
        client, keys, live = self._client, self.connection.keys, model.live()
        self._same("live", client.smembers(keys.live()), set(live))
        claimed = {r.member(i) for r in live.values() for i in r.at(Place.CLAIMED)}
        beats = [Member.parse(text) for text in client.zrange(keys.beats(), 0, -1)]
        self._same("beats", set(beats), claimed | set(model.lingering))
        delayed = {f"{n} {i}" for n, r in live.items() for i in r.at(Place.DELAYED)}
        found = {d for d in client.zrange(keys.delayed(), 0, -1) if d.split(" ")[0] in live}
        self._same("delayed", found, delayed)
        for account in self.accounts:
            inside = client.hgetall(keys.window(account))
            self._same(
                f"window {account}", {Member.parse(m) for m in inside}, model.window(account)
            )
            for text, entry in inside.items():
                item = model.current(Member.parse(text))
                if item is not None:
                    self._same(f"node of {text}", entry.split(" ")[0], item.node)
            own = {n: r for n, r in live.items() if r.new.account == account}
            turns = client.lrange(keys.turns(account), 0, -1)
            self._same("turns", sorted(turns), sorted(n for n, r in own.items() if r.at("waiting")))
        self._check_metrics(model)
        held = [key.split("target:")[1] for key in client.keys(keys.target("*"))]
        held = [name for name in held if ":" not in name]
        self._same("targets held", len(held), len(live))

    def _check_metrics(self, model: LedgerModel) -> None:
        """What Prometheus would be told now; counts never go back but with Redis."""
        found, live = read_metrics(self.connection, "no queue"), model.live().values()
        totals = {f"{what} import": count for what, count in model.totals().items() if count}
        self._same("totals", {" ".join(key): n for key, n in found.totals.items()}, totals)
        self._same("runs", found.runs, Counter(run.state.value for run in live))
        for place in (Place.WAITING, Place.SENT, Place.CLAIMED):
            count = sum(len(run.at(place)) for run in live)
            count += len(model.lingering) if place is Place.CLAIMED else 0
            self._same(f"items {place}", found.items[place], count)
        self._same("accounts", {row.name for row in found.accounts}, set(model.limits))
        for site, known in model.sites.items():
            facts = self._client.hgetall(self.connection.keys.site(site))
            self._same(f"runs of {site}", {n: v for n, v in facts.items() if "_" in n}, known)

    def _check_live(self, name: str, run: ModelRun) -> None:
        client, keys = self._client, self.connection.keys
        self._same(f"items of {name}", set(client.hkeys(keys.items(name))), set(run.items))
        waiting = client.lrange(keys.waiting(name), 0, -1)
        self._same(f"waiting of {name}", sorted(waiting), sorted(run.at(Place.WAITING)))
        claims = {i: f"{run.items[i].attempt} {run.items[i].node}" for i in run.at(Place.CLAIMED)}
        self._same(f"claims of {name}", client.hgetall(keys.claims(name)), claims)
        attempts, fruitless = (
            client.hgetall(keys.attempts(name)),
            client.hgetall(keys.fruitless(name)),
        )
        for item, known in run.items.items():
            self._same(f"attempt at {item}", int(attempts[item]), known.attempt)
            self._same(f"fruitless {item}", int(fruitless.get(item, 0)), known.fruitless)
        facts = self._check_counts(name, run)
        self._same(f"open of {name}", int(facts["open"]), len(run.items))
        self._same(f"target of {name}", client.get(keys.target(facts["target"])), name)
        assert ("started" in facts) == (run.state is not RunState.QUEUED), f"{name}: {facts}"

    def _check_counts(self, name: str, run: ModelRun) -> dict[str, str]:
        """The run's counts are those of its records, and these are the model's."""
        client, keys = self._client, self.connection.keys
        facts: dict[str, str] = client.hgetall(keys.run(name))
        self._same(f"state of {name}", facts["state"], run.state.value)
        if run.state is not RunState.DONE:
            found = set(client.hkeys(keys.outcomes(name)))
            self._same(f"outcomes of {name}", found, set(run.transferred))
            parts = client.hgetall(keys.parts(name))
            offsets = {p: (json.loads(t)[2], json.loads(t)[5]) for p, t in parts.items()}
            self._same(f"parts of {name}", offsets, run.parts)
        self._same(f"failures of {name}", set(client.hkeys(keys.failures(name))), run.failed)
        counts = {
            "transferred": len(run.transferred),
            "transferred_bytes": sum(run.transferred.values()),
            "failed": len(run.failed),
            "part_bytes": sum(offset for offset, _ in run.parts.values()),
            "retries": run.retries,
            **run.counts,
        }
        self._same(f"counts of {name}", {c: int(facts.get(c, 0)) for c in counts}, counts)
        return facts

    def _check_ended(self, model: LedgerModel, name: str, run: ModelRun) -> None:
        client, keys = self._client, self.connection.keys
        facts = self._check_counts(name, run)
        assert facts["ended"]
        assert client.get(keys.target(facts["target"])) != name, f"{name} still holds its target"
        known = model.ended_facts.setdefault(name, facts)
        self._same(f"{name} after its end", facts, known)
        found = {key.removeprefix(keys.run(name)).lstrip(":"): key for key in self._keys_of(name)}
        allowed = _OF_AN_ENDED_RUN - (_STAGED if run.state is RunState.DONE else set())
        assert set(found) <= allowed, f"left of {name}: {set(found) - allowed}"
        for key in found.values():
            assert client.ttl(key) > 0, f"{key} never expires"

    def _keys_of(self, name: str) -> list[str]:
        keys = self.connection.keys
        return [*self._client.keys(keys.run(name)), *self._client.keys(f"{keys.run(name)}:*")]

    def check_idle(self) -> None:
        """No run is left: nothing is kept for good but what is bounded (see keys.py)."""
        client, keys = self._client, self.connection.keys
        lasting = {key for key in client.keys("*") if client.ttl(key) == -1}
        bounded = {keys.runs(), keys.nodes(), keys.sweeper(), keys.totals()}
        assert lasting <= bounded, lasting

    # -- time, and what a restart does to it -------------------------------------------------------

    def set_clock(self, model: LedgerModel, alive: Collection[str], dead: Collection[str]) -> None:
        """Write how long ago everything was."""
        keys, (seconds, micros) = self.connection.keys, self._client.time()
        now = seconds + micros / 1e6
        with self._client.pipeline(transaction=True) as pipe:
            for node in alive:
                pipe.zadd(keys.nodes(), {node: now})
            for node in dead:
                pipe.zadd(keys.nodes(), {node: now - _DEAD_SECONDS}, xx=True)
            for name, run in model.live().items():
                for item, known in run.items.items():
                    member, since = str(run.member(item)), now - known.age
                    if known.place is Place.CLAIMED:
                        pipe.zadd(keys.beats(), {member: since}, xx=True)
                    elif known.place is Place.SENT:
                        entry = f"{known.node} {since:.6f}"
                        pipe.hset(keys.window(run.new.account), member, entry)
                    elif known.place is Place.DELAYED:
                        due = now - known.age if known.age else now + _NOT_DUE_SECONDS
                        pipe.zadd(keys.delayed(), {f"{name} {item}": due}, xx=True)
            for told, known in model.lingering.items():
                pipe.zadd(keys.beats(), {str(told): now - known.age}, xx=True)
            pipe.execute()

    def forget_delays(self) -> None:
        """Whatever was delayed is due, also of runs that have ended."""
        key = self.connection.keys.delayed()
        for pair in self._client.zrange(key, 0, -1):
            self._client.zadd(key, {pair: 1})

    def save(self) -> Saved:
        """All that Redis holds now."""
        names: list[bytes] = self.raw.keys("*")  # type: ignore[assignment]
        with self.raw.pipeline(transaction=True) as pipe:
            for name in names:
                pipe.dump(name)
                pipe.pttl(name)
            answers = pipe.execute()
        pairs = zip(answers[::2], answers[1::2], strict=True)
        return {n: (dump, max(ttl, 0)) for n, (dump, ttl) in zip(names, pairs, strict=True)}

    def restore(self, saved: Saved) -> None:
        """Hold that, and nothing else."""
        with self.raw.pipeline(transaction=True) as pipe:
            pipe.flushdb()
            for name, (dump, ttl) in saved.items():
                pipe.restore(name, ttl, dump)
            pipe.execute()
