"""The encrypted store under many processes and threads, one of which is killed."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from siteferry.credentials import CredentialBackend
from siteferry.errors import CredentialAbsent
from siteferry.secret import Secret
from tests.stores.files import FileStand
from tests.stores.processes import forked

PROCESSES, WRITERS, READERS = 8, 10, 15
"""Of each process: twenty-five threads, two hundred together."""

WRITES, READS = 3, 8
"""Of each thread."""

VICTIM = PROCESSES
"""The number of one more process, which writes until it is killed."""

KILLED_AFTER_WRITES = 25


def number(store: CredentialBackend, process: int, writer: int) -> int:
    """What that writer has stored last; 0 for nothing yet."""
    try:
        return int(store.get(f"process{process}", f"WRITER{writer}").reveal(masked=False))
    except CredentialAbsent:
        return 0


def write(stand: FileStand, process: int, writer: int, acknowledged: int) -> None:
    """Count up, and tell of each number after the store has taken it."""
    store, last = stand.open(), 0
    while last < WRITES or process == VICTIM:
        last += 1
        store.store(f"process{process}", f"WRITER{writer}", Secret(str(last)))
        os.write(acknowledged, f"{process} {writer} {last}\n".encode())


def read(stand: FileStand, process: int, reader: int) -> None:
    """A constant stays what it is, and no number goes back."""
    store, seen = stand.open(), 0
    for turn in range(READS):
        assert store.get("shop", "FTP_PASSWORD") == Secret("constant")
        now = number(store, (process + 1) % PROCESSES, reader % WRITERS)
        assert now >= seen
        seen = now
        if turn % 4 == 0:
            assert len(store.list()) <= 1 + (PROCESSES + 1) * WRITERS


def all_threads(stand: FileStand, process: int, acknowledged: int) -> None:
    """Raises where one of this process's threads did."""
    failures: list[BaseException] = []

    def call(function: Callable[[], None]) -> None:
        try:
            function()
        except BaseException as error:  # noqa: BLE001  # raised below
            failures.append(error)

    tasks = [partial(write, stand, process, writer, acknowledged) for writer in range(WRITERS)]
    if process != VICTIM:
        tasks += [partial(read, stand, process, reader) for reader in range(READERS)]
    threads = [threading.Thread(target=call, args=(task,)) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


@contextmanager
def running(stand: FileStand) -> Iterator[tuple[dict[int, int], Iterator[str]]]:
    """The processes by their number, and the lines that they tell, until the last has ended."""
    reading, writing = os.pipe()
    processes = {
        process: forked(partial(all_threads, stand, process, writing))
        for process in range(PROCESSES + 1)
    }
    os.close(writing)
    with os.fdopen(reading) as lines:
        yield processes, iter(lines)


@pytest.mark.slow
def test_two_hundred_readers_and_writers_lose_nothing_though_one_process_is_killed(
    open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand = FileStand(open_folder, monkeypatch)
    store = stand.open()
    store.store("shop", "FTP_PASSWORD", Secret("constant"))
    told: dict[tuple[int, int], int] = {}
    victims_writes = 0
    with running(stand) as (processes, lines):
        for line in lines:
            process, writer, last = map(int, line.split())
            told[process, writer] = last
            if process == VICTIM:
                victims_writes += 1
                if victims_writes == KILLED_AFTER_WRITES:
                    os.kill(processes[VICTIM], signal.SIGKILL)
        ended = {process: os.waitpid(child, 0)[1] for process, child in processes.items()}
    assert ended.pop(VICTIM) == signal.SIGKILL
    assert set(ended.values()) == {0}

    for process in range(PROCESSES):
        for writer in range(WRITERS):
            assert told[process, writer] == WRITES
            assert number(store, process, writer) == WRITES
    for writer in range(WRITERS):
        acknowledged = told.get((VICTIM, writer), 0)
        assert number(store, VICTIM, writer) in (acknowledged, acknowledged + 1)
    store.store("shop", "FTP_PASSWORD", Secret("still writable"))
    left = {path.name for path in stand.path.parent.iterdir()}
    assert left == {"store.json", "store.json.lock"}


@pytest.mark.parametrize("one_store", [True, False], ids=["one store", "a store each"])
def test_processes_that_all_store_the_first_entry_make_one_key(
    open_folder: Path, monkeypatch: pytest.MonkeyPatch, one_store: bool
) -> None:
    """Stores of one user have the same key file, where the settings name no other."""
    for turn in range(5):
        folder = open_folder / str(turn)
        folder.mkdir()
        stores = [
            FileStand(folder, monkeypatch, "store" if one_store else f"store{process}").open()
            for process in range(PROCESSES)
        ]
        waiting, let_go = os.pipe()

        def first(process: int, waiting: int = waiting, let_go: int = let_go) -> None:
            os.close(let_go)
            os.read(waiting, 1)  # until the parent lets all of them go at once
            stores[process].store("shop", f"KEY{process}", Secret(str(process)))  # noqa: B023

        children = [forked(partial(first, process)) for process in range(PROCESSES)]
        os.close(waiting)
        os.close(let_go)
        assert {os.waitpid(child, 0)[1] for child in children} == {0}
        for process, store in enumerate(stores):
            assert store.get("shop", f"KEY{process}") == Secret(str(process))
            assert len(store.list()) == (PROCESSES if one_store else 1)
