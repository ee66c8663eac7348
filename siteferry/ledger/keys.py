"""The names of all Redis keys. `lua/shared/names.lua` builds the same; a test compares the two.

All begin with the configured prefix (default `siteferry:`). A run that lives expires LIVE_SECONDS
after something has happened to it; one that has ended, after what `redis.keep_runs` was when it
began. "with the run" means: the key is removed, or expires, together with it. "none" says that the
key has no time to live, and why it does not grow. Another test runs imports, and compares type and
lifetime of all that it finds with this table.

| key | type | meaning | lifetime |
| --- | --- | --- | --- |
| runs | zset | run -> time of creation | none: an entry goes when its run has expired |
| live | set | runs that have not ended | none: an entry goes when its run ends or is gone |
| run:R | hash | site, direction, version, state, account, target, figures, error | see above |
| run:R:items | hash | item -> body (JSON) of every item that is not finished | with the run |
| run:R:attempts | hash | item -> the attempt that may claim it | with the run |
| run:R:fruitless | hash | item -> attempts in a row without progress | with the run |
| run:R:barren | hash | item -> when the first of those attempts ended | with the run |
| run:R:claims | hash | item -> "attempt node" that works on it | with the run |
| run:R:replies | hash | item -> "attempt reply" of its finish, for a repeat | with the run |
| run:R:waiting | list | items that wait for room in the window | with the run |
| run:R:parts | hash | path -> what stands of a file that is not finished (JSON) | with the run |
| run:R:outcomes | hash | path -> what stands staged for it (JSON) | with the run |
| run:R:failures | hash | path -> why it was not carried (JSON) | with the run |
| run:R:workers | hash | node -> files carried | with the run |
| run:R:previous | hash | directory -> its part of the last manifest (JSON) | with the run |
| run:R:tree | string | directories of the source and of the last manifest (JSON) | with the run |
| run:R:warnings | list | texts for the report; those of workers: run:R | with the run |
| run:R:staged | hash | path -> what an earlier run has staged for it (JSON) | with the run |
| run:R:extras | hash | path to delete that only the server has -> what it is | with the run |
| run:R:planned | hash | of a dry run: path -> what would be done with it (JSON) | PLANNED_SECONDS |
| run:R:elsewhere | hash | item -> workers in a row that lacked its sources | with the run |
| run:R:deaths | hash | item -> attempts in a row whose worker died | with the run |
| account:A | hash | limit: what is configured; address: where it is | ACCOUNT_SECONDS |
| account:A:profile | string | what the account's server can do (JSON) | ACCOUNT_SECONDS |
| account:A:stopped | hash | refused logins: since, until, refusals, reply | a day after `until` |
| stops | zset | stopped account -> until when | a day after the last of them |
| account:A:window | hash | member -> "node time" of what runs | none: holds only that |
| account:A:turns | list | runs of the account that have waiting items, in turn | none: as above |
| beats | zset | "member" -> time of the last heartbeat of a claimed attempt | none: as above |
| delayed | zset | "run item" -> time when it may wait for the window again | none: as above |
| slots:account:A | zset | lease -> expiry | none: expired leases are dropped at each take |
| slots:address:I | zset | lease -> expiry | none: as above |
| logins:account:A | zset | those of its leases whose login is not answered yet | none: as above |
| logins:address:I | zset | those of its leases whose login is not answered yet | none: as above |
| limits:account:A | hash | what the host has admitted and refused | ACCOUNT_SECONDS |
| limits:address:I | hash | the same for the address; configured: its limit | ACCOUNT_SECONDS |
| address:I:accounts | zset | accounts with items -> when their turn began | ACCOUNT_SECONDS |
| address:I:connects | zset | leases of the last second -> time | two seconds |
| wanted:account:A | string | a worker waits for a slot of the account | WANTED_MS |
| wanted:address:I | string | a worker waits for a slot of the address | WANTED_MS |
| target:T | string | the run that holds the target | none: goes when its run ends |
| target:T:left | string | the run whose staged files the next one may use | with that run |
| target:T:swept | string | the last run that has removed what dead ones left | SWEPT_SECONDS |
| nodes | zset | worker process -> time of its last heartbeat | none: an entry goes after a minute |
| loads | zset | worker process with a thread to spare -> its items | none: as its node |
| heard | string | when a worker was heard last | HEARD_KEPT_SECONDS |
| settling | string | since when no new leases are given, for Redis was away | SETTLING_SECONDS |
| node:N:leases | hash | lease of worker process N -> account, address (JSON) | LEASES_SECONDS |
| sweeper | string | the node that sweeps now | SWEEPER_MS |
| totals | hash | "what direction" -> how many of it in all runs, ended or not | none: few fields |
| accounts | zset | account -> when a run of it was started last | ACCOUNT_SECONDS |
| sites | zset | website -> when a run of it has ended last | SITE_SECONDS |
| site:S | hash | a website's last run and its last good one: state, name, time | SITE_SECONDS |
| schedule:S | hash | of website S: until when it is dealt with, and how | SCHEDULE_SECONDS |

Celery's keys are kombu's own affair. They have the prefix as well:

| key | type | meaning | lifetime |
| --- | --- | --- | --- |
| siteferry.work | list | messages that any worker may take | none: the window bounds it |
| siteferry.node.N | list | messages for worker process N | none: goes when it is read, or N dies |
| unacked | hash | messages that workers carry, by delivery tag | none: holds only those |
| unacked_index | zset | delivery tag -> when it was given out | none: as above |
| unacked_mutex | string | who looks for messages of vanished workers | five minutes |
| _kombu.binding.E | set | queues bound to exchange E | none: queues that expire are swept |
| _kombu.binding_permanent.E | set | those of them that do not expire | none: as above |
| _kombu.binding_deadlines | zset | exchange -> when its bindings may go | none: as above |
| Q.celery.pidbox | list | orders for a worker, or answers to who asked | x-expires of the queue |
| celeryev.Q | list | events for one listener | x-expires of the queue |
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

LIVE_SECONDS = 30 * 24 * 3600
"""How long a run is known that has not ended, after anything has happened to it."""
ACCOUNT_SECONDS = 90 * 24 * 3600
SCHEDULE_SECONDS = 90 * 24 * 3600
"""After no scheduler has looked after it."""
AHEAD_SECONDS = 600
"""What a scheduler says of a time further ahead of Redis' clock than this is not believed."""
PLANNED_SECONDS = 3600
SWEPT_SECONDS = 24 * 3600
LEASES_SECONDS = 60
HEARD_KEPT_SECONDS = 24 * 3600
SETTLING_SECONDS = 60
"""The key; leases are held back for as long as one lives, see `settles` in limits.lua."""
SITE_SECONDS = 400 * 24 * 3600
"""How long it is known after its last run when a website was published."""
WANTED_MS = 500
SWEEPER_MS = 1500


@dataclass(frozen=True, slots=True)
class Keys:
    """Builds key names below one prefix."""

    prefix: str = "siteferry:"

    def runs(self) -> str:
        return f"{self.prefix}runs"

    def live(self) -> str:
        return f"{self.prefix}live"

    def run(self, run: str) -> str:
        return f"{self.prefix}run:{run}"

    def items(self, run: str) -> str:
        return f"{self.prefix}run:{run}:items"

    def attempts(self, run: str) -> str:
        return f"{self.prefix}run:{run}:attempts"

    def fruitless(self, run: str) -> str:
        return f"{self.prefix}run:{run}:fruitless"

    def barren(self, run: str) -> str:
        return f"{self.prefix}run:{run}:barren"

    def claims(self, run: str) -> str:
        return f"{self.prefix}run:{run}:claims"

    def replies(self, run: str) -> str:
        return f"{self.prefix}run:{run}:replies"

    def waiting(self, run: str) -> str:
        return f"{self.prefix}run:{run}:waiting"

    def parts(self, run: str) -> str:
        return f"{self.prefix}run:{run}:parts"

    def outcomes(self, run: str) -> str:
        return f"{self.prefix}run:{run}:outcomes"

    def failures(self, run: str) -> str:
        return f"{self.prefix}run:{run}:failures"

    def workers(self, run: str) -> str:
        return f"{self.prefix}run:{run}:workers"

    def previous(self, run: str) -> str:
        return f"{self.prefix}run:{run}:previous"

    def tree(self, run: str) -> str:
        return f"{self.prefix}run:{run}:tree"

    def warnings(self, run: str) -> str:
        return f"{self.prefix}run:{run}:warnings"

    def staged(self, run: str) -> str:
        return f"{self.prefix}run:{run}:staged"

    def extras(self, run: str) -> str:
        return f"{self.prefix}run:{run}:extras"

    def planned(self, run: str) -> str:
        return f"{self.prefix}run:{run}:planned"

    def deaths(self, run: str) -> str:
        return f"{self.prefix}run:{run}:deaths"

    def elsewhere(self, run: str) -> str:
        return f"{self.prefix}run:{run}:elsewhere"

    def account(self, account: str) -> str:
        return f"{self.prefix}account:{account}"

    def profile(self, account: str) -> str:
        return f"{self.prefix}account:{account}:profile"

    def stopped(self, account: str) -> str:
        return f"{self.prefix}account:{account}:stopped"

    def window(self, account: str) -> str:
        return f"{self.prefix}account:{account}:window"

    def turns(self, account: str) -> str:
        return f"{self.prefix}account:{account}:turns"

    def beats(self) -> str:
        return f"{self.prefix}beats"

    def delayed(self) -> str:
        return f"{self.prefix}delayed"

    def slots_of_account(self, account: str) -> str:
        return f"{self.prefix}slots:account:{account}"

    def slots_of_address(self, address: str) -> str:
        return f"{self.prefix}slots:address:{address}"

    def logins_of_account(self, account: str) -> str:
        return f"{self.prefix}logins:account:{account}"

    def logins_of_address(self, address: str) -> str:
        return f"{self.prefix}logins:address:{address}"

    def limits_of_account(self, account: str) -> str:
        return f"{self.prefix}limits:account:{account}"

    def limits_of_address(self, address: str) -> str:
        return f"{self.prefix}limits:address:{address}"

    def accounts_at(self, address: str) -> str:
        return f"{self.prefix}address:{address}:accounts"

    def connects_to(self, address: str) -> str:
        return f"{self.prefix}address:{address}:connects"

    def wanted_of_account(self, account: str) -> str:
        return f"{self.prefix}wanted:account:{account}"

    def wanted_of_address(self, address: str) -> str:
        return f"{self.prefix}wanted:address:{address}"

    def target(self, target: str) -> str:
        return f"{self.prefix}target:{target}"

    def left(self, target: str) -> str:
        return f"{self.prefix}target:{target}:left"

    def swept(self, target: str) -> str:
        return f"{self.prefix}target:{target}:swept"

    def stops(self) -> str:
        return f"{self.prefix}stops"

    def nodes(self) -> str:
        return f"{self.prefix}nodes"

    def leases(self, node: str) -> str:
        return f"{self.prefix}node:{node}:leases"

    def loads(self) -> str:
        return f"{self.prefix}loads"

    def heard(self) -> str:
        return f"{self.prefix}heard"

    def settling(self) -> str:
        return f"{self.prefix}settling"

    def sweeper(self) -> str:
        return f"{self.prefix}sweeper"

    def totals(self) -> str:
        return f"{self.prefix}totals"

    def all_accounts(self) -> str:
        return f"{self.prefix}accounts"

    def sites(self) -> str:
        return f"{self.prefix}sites"

    def site(self, site: str) -> str:
        return f"{self.prefix}site:{site}"

    def schedule(self, site: str) -> str:
        return f"{self.prefix}schedule:{site}"


def target_digest(target: str) -> str:
    """A short name for user, host and remote directory, safe in a key."""
    return hashlib.sha256(target.encode()).hexdigest()[:24]
