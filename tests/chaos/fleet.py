"""Several `siteferry worker` processes, which a test kills, replaces, stops and lets go on."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import Self

from tests.chaos.ledger_view import LedgerView, wait_for
from tests.installation import Installation


class Fleet:
    """A context manager; at its end all are killed. Their logs are one file, `workers.log`."""

    def __init__(self, installation: Installation, count: int) -> None:
        self._installation = installation
        self._log = installation.folder / "workers.log"
        self._count = count
        self._workers: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        for _ in range(self._count):
            self._start()
        return self

    def __exit__(self, *exception: object) -> None:
        for worker in self._workers:
            worker.kill()  # also one that was stopped
            worker.wait()

    def pids(self) -> list[int]:
        return [worker.pid for worker in self._workers]

    def wait_until_ready(self, ledger: LedgerView) -> None:
        """Until all beat; workers that were killed count no more after three seconds."""
        wait_for(
            lambda: set(self.pids()) <= ledger.living(3.0) or None, "the workers did not start"
        )

    def replace(self, pid: int) -> None:
        """`kill -9` of one, and another one in its place."""
        worker = next(worker for worker in self._workers if worker.pid == pid)
        worker.kill()
        worker.wait()
        self._workers.remove(worker)
        self._start()

    def stop(self, pid: int) -> None:
        """SIGSTOP: it is there, and does nothing; what it has on the wire still arrives."""
        assert pid in self.pids()
        os.kill(pid, signal.SIGSTOP)

    def go_on(self, pid: int) -> None:
        os.kill(pid, signal.SIGCONT)

    def log(self) -> str:
        return self._log.read_text()

    def _start(self) -> None:
        with self._log.open("ab") as stream:
            self._workers.append(
                subprocess.Popen(
                    self._installation.argv("worker"),
                    env=self._installation.env(),
                    stdout=stream,
                    stderr=stream,
                    cwd=self._installation.folder,
                )
            )
