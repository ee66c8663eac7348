"""The private server and the worker beside it, for who has configured no Redis."""

from siteferry.embedded.server import EmbeddedServer
from siteferry.embedded.worker import PARENT_PIPE, EmbeddedWorker, watch_parent

__all__ = ["PARENT_PIPE", "EmbeddedServer", "EmbeddedWorker", "watch_parent"]
