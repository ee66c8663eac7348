"""What a worker process holds that has ended, or is about to, goes to others without delay."""

from __future__ import annotations

from siteferry.broker import Broker, own_queue
from siteferry.ledger.connection import Connection
from siteferry.ledger.items import Fate, Items


def hand_back(connection: Connection, broker: Broker, node: str, fate: Fate) -> int:
    """Give out again what `node` held, and send it to the shared queue. May be repeated.

    Args:
        fate: a node that is `LEAVING` keeps what it has begun, its connections and its queue, from
            which its consumer may still be taking.

    Returns:
        How many messages were sent, of items that may run now.

    Raises:
        LedgerUnreachable: Redis does not answer; the sweeper does it later.
    """
    given = Items(connection).bury(node, fate)
    broker.send(given)
    if fate is not Fate.LEAVING:
        queue = f"{connection.keys.prefix}{own_queue(node)}"
        connection.call(lambda: connection.client.delete(queue))
    return len(given)
