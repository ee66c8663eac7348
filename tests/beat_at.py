"""`siteferry beat` with a clock that a test sets: python -m tests.beat_at CONFIG CLOCK TURNS

CLOCK is a file with Unix seconds, in place of the wall clock; time stands still while the test does
not write it. After each turn that Redis has answered, the time of it stands in the file TURNS.

Where a file TURNS.in-hand or TURNS.unsent is, the process stops itself (SIGSTOP) when it is about
to start a run that is due, or when the run is entered and its message is not sent yet.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scheduler import tick
from scheduler.process import run_beat
from siteferry.broker import Broker
from siteferry.log import configure
from siteferry.settings import load_settings
from tests.installation import Installation
from tests.integration.test_broker_guards import wait_for


def replace_text(file: Path, text: str) -> None:
    """Write it as a whole, for whoever reads it at the same moment."""
    part = file.with_name(f"{file.name}.part-{os.getpid()}")
    part.write_text(text)
    part.replace(file)


@dataclass
class Clocked:
    """Schedulers of an installation, on one clock."""

    installation: Installation
    clock: Path = field(init=False)
    _count: int = 0

    def __post_init__(self) -> None:
        self.clock = self.installation.folder / "clock"

    def set(self, seconds: float) -> None:
        replace_text(self.clock, str(seconds))

    @contextmanager
    def scheduler(self) -> Iterator[Scheduler]:
        """One that runs beside the test, and has made its first turn."""
        self._count += 1
        turns = self.installation.folder / f"turns-{self._count}"
        log = self.installation.folder / "beat.log"
        config = self.installation.folder / "config/siteferry.yaml"
        with log.open("a") as stream:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.beat_at", config, self.clock, turns],
                env=self.installation.env(),
                stdout=stream,
                stderr=stream,
                cwd=self.installation.folder,
            )
        started = Scheduler(process, turns, self.clock)
        try:
            started.wait_for_turn()
            yield started
        finally:
            process.kill()
            process.wait()


@dataclass
class Scheduler:
    """A process, and how far it has come."""

    process: subprocess.Popen[bytes]
    turns: Path
    clock: Path

    def wait_for_turn(self) -> None:
        """Until it has made a turn at the time that the clock has now."""

        def made() -> bool:
            assert self.process.poll() is None, "it has ended"
            half_minute = float(self.clock.read_text()) // 30
            return self.turns.exists() and float(self.turns.read_text()) // 30 >= half_minute

        wait_for("the scheduler makes no turn", made)

    def stop_at(self, moment: str) -> None:
        """Have it stop itself at the next moment of that kind: `in-hand` or `unsent`."""
        self._file(moment).touch()

    def wait_until_stopped(self, moment: str) -> None:
        wait_for("it does not stop", lambda: self._is_stopped() and not self._file(moment).exists())

    def _file(self, moment: str) -> Path:
        return self.turns.with_name(f"{self.turns.name}.{moment}")

    def pause(self) -> None:
        self.process.send_signal(signal.SIGSTOP)
        wait_for("it does not stop", self._is_stopped)

    def _is_stopped(self) -> bool:
        """Whether all its threads stand still."""
        threads = Path(f"/proc/{self.process.pid}/task").glob("*/stat")
        return {stat.read_text().rpartition(") ")[2][0] for stat in threads} == {"T"}

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def stop_before(action: Callable[..., Any], file: Path) -> Callable[..., Any]:
    """`action`, but the process is stopped before it if `file` is there."""

    def stopping(*args: Any, **options: Any) -> Any:
        if file.exists():
            file.unlink()
            # Sent to this very thread: one sent to the process may reach another one first.
            signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
        return action(*args, **options)

    return stopping


def main(config: Path, clock: Path, turns: Path) -> int:
    settings = load_settings(config)
    configure("info", "text")
    assert settings.redis.url is not None
    begun: list[float] = []

    def read_clock() -> float:
        begun[:] = [float(clock.read_text())]
        return begun[0]

    def note(answered: bool) -> None:
        if answered:
            replace_text(turns, str(begun[0]))

    in_hand, unsent = (turns.with_name(f"{turns.name}.{m}") for m in ("in-hand", "unsent"))
    tick.start_due = stop_before(tick.start_due, in_hand)
    Broker.send = stop_before(Broker.send, unsent)  # type: ignore[method-assign]
    return run_beat(settings, settings.redis.url, clock=read_clock, after_tick=note)


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
