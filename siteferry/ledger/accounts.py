"""Accounts whose host has refused our login: nobody tries again for a while.

Hosts ban an address for a few wrong passwords, and then every website on it is down for us. So the
first refusal stops the account for all workers, for a minute, and each further one for twice as
long; a login that succeeds, or `siteferry account resume`, lifts it.
"""

from __future__ import annotations

from dataclasses import dataclass

from siteferry.ledger.connection import Connection

FIRST_STOP_SECONDS = 60
LONGEST_STOP_SECONDS = 6 * 3600
REMEMBERED_SECONDS = 24 * 3600
"""How long the number of refusals is kept after the last one."""


@dataclass(frozen=True, slots=True)
class Stop:
    """An account that is stopped. Times are Unix seconds of the ledger's clock.

    refusals: logins that were refused in a row. reply: the server's own line.
    """

    account: str
    since: float
    until: float
    refusals: int
    reply: str


@dataclass(frozen=True, slots=True)
class StoppedAccounts:
    """All methods raise LedgerUnreachable."""

    connection: Connection

    def find(self, account: str) -> Stop | None:
        """The stop of an account; None where it may log in."""
        stop = self._read(account)
        return stop if stop is not None and self._now() < stop.until else None

    def stop(self, account: str, reply: str) -> None:
        """A login has been refused. One of several that were under way at the same moment is no
        further refusal."""
        now = self._now()
        before = self._read(account)
        if before is not None and now < before.until:
            return
        refusals = before.refusals + 1 if before else 1
        seconds = min(FIRST_STOP_SECONDS * 2 ** (refusals - 1), LONGEST_STOP_SECONDS)
        fields = {"since": now, "until": now + seconds, "refusals": refusals, "reply": reply}
        key, client = self.connection.keys.stopped(account), self.connection.client
        index = self.connection.keys.stops()

        def write() -> None:
            with client.pipeline(transaction=True) as pipe:
                pipe.hset(key, mapping=fields)
                pipe.expire(key, seconds + REMEMBERED_SECONDS)
                pipe.zadd(index, {account: now + seconds})
                pipe.zremrangebyscore(index, "-inf", now)
                pipe.expire(index, LONGEST_STOP_SECONDS + REMEMBERED_SECONDS)
                pipe.execute()

        self.connection.call(write)

    def resume(self, account: str) -> bool:
        """Let the account log in again; False where nothing was known against it."""
        key, client = self.connection.keys.stopped(account), self.connection.client
        return bool(self.connection.call(lambda: client.delete(key)))

    def every(self) -> list[Stop]:
        """Every account that is stopped now, by name."""
        index, client = self.connection.keys.stops(), self.connection.client
        now = self._now()
        names = self.connection.call(lambda: client.zrangebyscore(index, f"({now}", "+inf"))
        return [stop for name in sorted(names) if (stop := self.find(name)) is not None]

    def _read(self, account: str) -> Stop | None:
        key, client = self.connection.keys.stopped(account), self.connection.client
        fields = self.connection.call(lambda: client.hgetall(key))
        if not fields:
            return None
        return Stop(
            account,
            float(fields["since"]),
            float(fields["until"]),
            int(fields["refusals"]),
            str(fields["reply"]),
        )

    def _now(self) -> float:
        seconds, micros = self.connection.call(self.connection.client.time)
        return float(seconds) + float(micros) / 1e6
