"""`siteferry-probe`: says whether the processes that have written here are alive, or ready.

Started every few seconds for each process, so it imports next to nothing, reads files and asks
nobody: no Redis, no Celery, no configuration.
"""

from __future__ import annotations

import os
import sys
import time

from siteferry.health.place import (
    VARIABLE,
    below,
    default_state_directory,
    is_here,
    lives,
    read_records,
)

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

ALIVE, READY = "alive", "ready"
KINDS = ("worker", "beat")
WITHIN_SECONDS = 10.0
OK, NOT_SO, WRONG_USAGE, NOBODY = 0, 1, 2, 3

USAGE = f"""\
usage: siteferry-probe alive|ready [--kind worker|beat] [--pid N] [--dir DIR] [--within SECONDS]

Says whether the processes of siteferry on this machine, or in this container, are alive (only a new
start would help those that are not) or ready to take work. All must be; exit status 0, or 1 and the
reason. 2: wrong usage. 3: nobody to ask, for none has left a file there, or none can be seen.

  --kind KIND       only workers, or only beat
  --pid N           only this process
  --dir DIR         where they write: health_dir of the configuration; default: {VARIABLE},
                    then the default of health_dir
  --within SECONDS  how long ago a process that lives may have written (it does once a second);
                    default: {WITHIN_SECONDS:g}
"""


class WrongUsageError(Exception):
    """The command line is not as it must be."""


class Question:
    """What was asked: which word, of which processes, where."""

    def __init__(self, arguments: Sequence[str], environ: Mapping[str, str]) -> None:
        self.word = ""
        self.kind: str | None = None
        self.pid: int | None = None
        self.within_seconds = WITHIN_SECONDS
        directory: str | None = None
        left = list(arguments)
        while left:
            name, equals, value = left.pop(0).partition("=")
            if not name.startswith("-"):
                if self.word or name not in (ALIVE, READY):
                    raise WrongUsageError(f"{name} is neither alive nor ready, or one too many")
                self.word = name
                continue
            if name not in ("--kind", "--pid", "--dir", "--within"):
                raise WrongUsageError(f"there is no option {name}")
            if not equals:
                if not left:
                    raise WrongUsageError(f"{name} needs a value")
                value = left.pop(0)
            if name == "--kind":
                if value not in KINDS:
                    raise WrongUsageError(f"--kind must be one of {', '.join(KINDS)}")
                self.kind = value
            elif name == "--dir":
                directory = value
            elif name == "--pid":
                if not value.isdecimal():
                    raise WrongUsageError("--pid must be the number of a process")
                self.pid = int(value)
            else:
                self.within_seconds = _number(name, value)
        if not self.word:
            raise WrongUsageError("alive or ready?")
        self.directory = directory or _directory(environ)

    def counts(self, record: Mapping[str, Any]) -> bool:
        """Whether the question is about this process."""
        kind_fits = self.kind in (None, record["kind"])
        return kind_fits and self.pid in (None, record["pid"])


def main() -> None:
    """The console script."""
    arguments = sys.argv[1:]
    if "-h" in arguments or "--help" in arguments:
        sys.stdout.write(USAGE)
        sys.exit(OK)
    try:
        question = Question(arguments, os.environ)
    except WrongUsageError as error:
        sys.stderr.write(f"siteferry-probe: {error}\n{USAGE.splitlines()[0]}\n")
        sys.exit(WRONG_USAGE)
    status, line = answer(question)
    sys.stdout.write(line.encode("ascii", "backslashreplace").decode() + "\n")
    sys.exit(status)


def answer(question: Question) -> tuple[int, str]:
    """The exit status and the line to print. NOBODY is no answer: the process may never have been
    started, or was stopped on purpose, or writes elsewhere."""
    asked = [question.kind] if question.kind else ["process of siteferry"]
    try:
        records = [r for r in read_records(question.directory) if question.counts(r)]
    except OSError as error:
        return NOBODY, f"not {question.word}: {question.directory}: {error.strerror}"
    here = [record for record in records if is_here(record) and lives(record)]
    if not here:
        gone = [_name(record) for record in records if is_here(record)]
        more = f"; gone: {', '.join(gone)}" if gone else ""
        which = f" with number {question.pid}" if question.pid is not None else ""
        text = f"no {asked[0]}{which} that runs has written in {question.directory}{more}"
        return (NOT_SO if gone else NOBODY), f"not {question.word}: {text}"
    now = time.monotonic()
    wrong = [(why, r) for r in here if (why := why_not(question, r, now)) is not None]
    if not wrong:
        return OK, f"{question.word}: {', '.join(map(_name, here))}"
    why, record = wrong[0]
    others = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
    return NOT_SO, f"not {question.word}: {why} ({_name(record)}{others})"


def why_not(question: Question, record: Mapping[str, Any], now: float) -> str | None:
    """Why the process is not what was asked; `now` on the clock that runs for all processes of a
    machine (CLOCK_MONOTONIC), for steps of the wall's clock must not end anybody."""
    age = now - record["written"]
    if not -1 <= age <= question.within_seconds:
        return f"written {age:.0f} s ago"
    why = record.get("why_not_alive")
    if why is None and question.word == READY:
        why = record.get("why_not_ready")
    return why if why is None else str(why)


def _name(record: Mapping[str, Any]) -> str:
    return f"{record['kind']} {record['node']}"


def _number(name: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < 1e9:
        raise WrongUsageError(f"{name} must be a number above 0")
    return number


def _directory(environ: Mapping[str, str]) -> str:
    named = environ.get(VARIABLE)
    if named and not os.path.isabs(named):
        raise WrongUsageError(f"{VARIABLE} must be an absolute path")
    return named or below(default_state_directory(environ))


if __name__ == "__main__":
    main()
