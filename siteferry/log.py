"""One line for one event, on standard error, as text or as JSON, with every known secret masked.

    2026-01-31T15:45:02.123Z info  run=… site=… task=… file sent path=index.html bytes=512

What the standard library's loggers say (Celery, kombu, redis) takes the same way. No value can
begin a new line or move the cursor: control characters are shown escaped. Until `configure` is
called, events go to the standard library's loggers as a host application has set them up.

structlog is imported at the first event: it brings rich and asyncio, a tenth of a second that
`siteferry --help` need not spend.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import json
import logging
import re
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, Literal, TextIO, cast

from siteferry.errors import ConfigurationError
from siteferry.secret import MASK, redact

if TYPE_CHECKING:
    from structlog.stdlib import BoundLogger
    from structlog.typing import Processor

Event = MutableMapping[str, Any]

_OURS = ("siteferry", "scheduler", "worker")
_FIRST = ("run", "site", "task")
_BARE = re.compile(r'[^\s"=\\]+')

_installed: logging.Handler | None = None


def configure(level: str, format: Literal["text", "json"], stream: TextIO | None = None) -> None:
    """Send every event of this process to `stream` (None: what `sys.stderr` is at each event).

    `level` is debug, info, warning, error or critical. It holds for siteferry's own loggers; other
    libraries are never heard below info, for at debug some print requests with their credentials.
    Calling again replaces the earlier settings.

    Raises ConfigurationError where there is no such level.
    """
    global _installed
    from structlog.stdlib import ProcessorFormatter

    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise ConfigurationError(
            f"there is no log level {level!r}",
            next_step="Use debug, info, warning, error or critical.",
        )
    handler = _Handler(stream)
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=_collecting(),
            processors=[_render_json if format == "json" else _render_text],
            # Arguments are masked one by one, before %r can disguise a secret in them.
            use_get_message=False,
            pass_foreign_args=True,
        )
    )
    root = logging.getLogger()
    if _installed is not None:
        root.removeHandler(_installed)
    root.addHandler(handler)
    _installed = handler
    root.setLevel(max(number, logging.INFO))
    for name in _OURS:
        logging.getLogger(name).setLevel(number)


def log_uncaught() -> None:
    """Log what nothing catches, in any thread, for Python itself would print it unmasked.

    For the entry point of a process only: it replaces `sys.excepthook` and `threading.excepthook`.
    """
    logger = get_logger("siteferry")

    def in_main_thread(kind: type[BaseException], error: BaseException, trace: Any) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, trace)
        else:
            logger.critical("uncaught exception", exc_info=error)

    def in_thread(args: threading.ExceptHookArgs) -> None:
        if args.exc_type is not SystemExit:
            name = args.thread.name if args.thread else None
            logger.critical("uncaught exception", exc_info=args.exc_value, thread=name)

    sys.excepthook = in_main_thread
    threading.excepthook = in_thread


def get_logger(name: str) -> BoundLogger:
    """Give the logger of a module; facts go in as keywords: `log.info("file sent", path=path)`."""
    return cast("BoundLogger", _LoggerAtFirstUse(name))


@contextlib.contextmanager
def bind(**facts: object) -> Iterator[None]:
    """Put `facts` (run, site, task) on every line logged inside, in this thread or coroutine."""
    from structlog.contextvars import bound_contextvars

    with bound_contextvars(**facts):
        yield


def printable(text: str) -> str:
    """Show control, format and undecodable characters of `text` as escapes (`\\x1b`, `\\n`).

    What is left cannot move a cursor, colour a terminal, reverse the reading direction, begin a
    new line, or fail to be encoded as UTF-8.
    """
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


class _LoggerAtFirstUse:
    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(_structlog_logger(self._name), attribute)


@functools.cache
def _structlog_logger(name: str) -> Any:
    # The processors are given here, not to structlog.configure: an application that uses
    # siteferry as a library may have its own structlog settings.
    import structlog

    return structlog.wrap_logger(
        logging.getLogger(name),
        processors=[structlog.stdlib.filter_by_level, *_collecting(), _to_record],
        wrapper_class=structlog.stdlib.BoundLogger,
        context_class=dict,
        cache_logger_on_first_use=True,
    )


def _collecting() -> list[Processor]:
    from structlog.contextvars import merge_contextvars

    return [merge_contextvars, _fill_in, _with_traceback, _mask_facts]


def _fill_in(_logger: Any, _method: str, event: Event) -> Event:
    arguments = _masked(event.pop("positional_args", ()))
    if arguments:
        try:
            event["event"] = str(event["event"]) % arguments
        except (TypeError, ValueError, KeyError):
            event["event"] = f"{event['event']} {arguments!r}"
    return event


def _with_traceback(_logger: Any, _method: str, event: Event) -> Event:
    given = event.pop("exc_info", None)
    if given is True:
        given = sys.exc_info()
    error = given[1] if isinstance(given, tuple) else given
    if error:
        event["exception"] = "".join(traceback.format_exception(error)).rstrip()
    return event


def _mask_facts(_logger: Any, _method: str, event: Event) -> Event:
    internal = ("_record", "_from_structlog")
    return {key: value if key in internal else _masked(value) for key, value in event.items()}


def _masked(value: Any) -> Any:
    """Mask secrets in strings and numbers, at any depth; other objects are masked as printed."""
    match value:
        case str():
            return redact(value)
        case None | bool():
            return value
        case int() | float():
            return value if redact(str(value)) == str(value) else MASK
        case Mapping():
            return {redact(str(key)): _masked(inner) for key, inner in value.items()}
        case list():
            return [_masked(inner) for inner in value]
        case tuple():
            return tuple(_masked(inner) for inner in value)
    return value


class _Message(dict[str, Any]):
    """An event as the message of a log record; a formatter that is not ours gets it as text."""

    def __str__(self) -> str:
        return redact(_words(self))


def _to_record(logger: Any, method: str, event: Event) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return (_Message(event),), {"extra": {"_logger": logger, "_name": method}}


def _line(event: Event) -> dict[str, Any]:
    """Put an event's facts in the order of the line; one that takes a reserved name gets a `_`."""
    record: logging.LogRecord = event.pop("_record")
    del event["_from_structlog"]
    when = dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(timespec="milliseconds")
    line = {
        "timestamp": when.replace("+00:00", "Z"),
        "level": record.levelname.lower(),
        **{key: event.pop(key) for key in _FIRST if key in event},
        "event": event.pop("event", ""),
        "logger": record.name,
    }
    for key, value in event.items():
        line[f"{key}_" if key in line else key] = value
    return line


def _render_json(_logger: Any, _method: str, event: Event) -> str:
    line = _line(event)
    text = json.dumps(line, default=lambda value: redact(str(value)))
    masked = redact(text)
    # A mask across the punctuation would leave something that is not JSON.
    return text if masked == text else json.dumps({"level": line["level"], "event": masked})


def _render_text(_logger: Any, _method: str, event: Event) -> str:
    line = _line(event)
    timestamp, level, logger = line.pop("timestamp"), line.pop("level"), line.pop("logger")
    if logger.partition(".")[0] not in _OURS:
        line["logger"] = logger
    return redact(f"{timestamp} {level:<5} {_words(line)}")


def _words(facts: Mapping[str, Any]) -> str:
    rest = {key: value for key, value in facts.items() if key != "event"}
    first = [f"{key}={_quoted(rest.pop(key))}" for key in _FIRST if key in rest]
    last = [f"{printable(key)}={_quoted(value)}" for key, value in rest.items()]
    return " ".join([*first, printable(redact(str(facts.get("event", "")))), *last])


def _quoted(value: Any) -> str:
    text = redact(str(value))
    if _BARE.fullmatch(text) and text.isprintable():
        return text
    return '"' + printable(text.replace("\\", "\\\\").replace('"', '\\"')) + '"'


class _Handler(logging.StreamHandler[TextIO]):
    def __init__(self, stream: TextIO | None) -> None:
        self._given = stream
        logging.Handler.__init__(self)

    # A property, so that a progress bar which stands in for sys.stderr gets the lines as well.
    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return self._given or sys.stderr

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  logging's
        """Say that a line was lost; the default would print the record's arguments unmasked."""
        with contextlib.suppress(OSError, ValueError, AttributeError):
            sys.stderr.write(f"a log line was lost: {sys.exc_info()[1].__class__.__name__}\n")
