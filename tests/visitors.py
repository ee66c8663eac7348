"""Visitors of a website: processes of their own that go through it in a tight loop, over HTTP.

The first line of a page ends with `:` and the paths that it names, as `naming` writes it.
"""

from __future__ import annotations

import hashlib
import http.client
import itertools
import json
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Self

from tests.servers.binaries import REPOSITORY
from tests.visits import Read, Role, Seen, Visit, as_facts, from_facts

MORE_VISITS = 20
"""So many does a visitor make before it says that it is there, and again when told to end."""

_TIMEOUT_SECONDS = 30.0


def naming(words: str, paths: Sequence[str]) -> bytes:
    """A first line for a page, which says `words` and names `paths` (none with a space)."""
    return f"<!-- {words} : {' '.join(paths)} -->\n".encode()


def _named_in(page: bytes) -> list[str]:
    words = page.partition(b"\n")[0].decode(errors="replace").split()
    return words[words.index(":") + 1 : -1] if ":" in words else []


@dataclass(frozen=True, slots=True)
class Round:
    """Where visitors go: the visit of number n begins at the n-th entry, then reads the n-th page
    (each list begins again at its end), then what this names.

    `versions`: the SHA-256 of each file in the old and in the new version, None where one has it
    not.
    """

    entries: Sequence[str]
    pages: Sequence[str]
    versions: Mapping[str, tuple[str | None, str | None]]


class Visitor:
    """One visitor, with one connection that it keeps until it is left."""

    def __init__(self, host: str, port: int, places: Round) -> None:
        self._connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_SECONDS)
        self._places = places

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._connection.close()

    def visit(self, number: int) -> Visit:
        """Make the visit of that number of the round."""
        entries, pages = self._places.entries, self._places.pages
        entry, _ = self._read(entries[number % len(entries)], Role.ENTRY)
        page, body = self._read(pages[number % len(pages)], Role.PAGE)
        assets = [self._read(path, Role.ASSET)[0] for path in self._known(_named_in(body))]
        return Visit((entry, page, *assets))

    def _known(self, paths: Sequence[str]) -> list[str]:
        # A page that was cut off may name half a path.
        return [path for path in paths if path in self._places.versions]

    def _read(self, path: str, role: Role) -> tuple[Read, bytes]:
        began = time.monotonic()
        status, whole, body = self._fetch(path)
        ended = time.monotonic()
        seen = self._seen(path, body) if whole else Seen.TORN
        if status != 200:
            seen = Seen.NOTHING
        return Read(path, role, began, ended, status, seen), body

    def _fetch(self, path: str) -> tuple[int, bool, bytes]:
        """Status, whether the body is as long as was announced, and the body."""
        status = 0
        try:
            self._connection.request("GET", f"/{path}")
            answer = self._connection.getresponse()
            status = answer.status
            return status, True, answer.read()
        except http.client.IncompleteRead as error:
            self._connection.close()
            return status, False, error.partial
        except (OSError, http.client.HTTPException):
            # The server broke off: without an answer it is a file that was not there.
            self._connection.close()
            return status, False, b""

    def _seen(self, path: str, body: bytes) -> Seen:
        old, new = self._places.versions[path]
        digest = hashlib.sha256(body).hexdigest()
        if digest not in (old, new):
            return Seen.TORN
        if old == new:
            return Seen.SAME
        return Seen.OLD if digest == old else Seen.NEW


class Visitors:
    """So many visitors at a web server, from entering it until `visits` is asked for."""

    def __init__(self, host: str, port: int, places: Round, *, count: int) -> None:
        self._orders = [
            {
                "host": host,
                "port": port,
                "first": number * len(places.pages) // count,
                "places": asdict(places),
            }
            for number in range(count)
        ]
        self._processes: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Self:
        """Start them, and wait until each has made its first visits."""
        for order in self._orders:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.visitors"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=REPOSITORY,
            )
            self._processes.append(process)
            assert process.stdin
            process.stdin.write(json.dumps(order) + "\n")
            process.stdin.flush()
        for process in self._processes:
            assert process.stdout
            assert process.stdout.readline() == "here\n", "a visitor has not come"
        return self

    def __exit__(self, *exception: object) -> None:
        for process in self._processes:
            with process:
                process.kill()

    def visits(self) -> list[Visit]:
        """Let each make its last visits and go; gives all visits, visitor by visitor."""
        for process in self._processes:
            assert process.stdin
            process.stdin.close()
        made: list[Visit] = []
        for process in self._processes:
            assert process.stdout
            told = process.stdout.read()
            assert process.wait() == 0, "a visitor has failed"
            made += map(from_facts, json.loads(told))
        return made


def _main() -> None:
    order = json.loads(sys.stdin.readline())
    with Visitor(order["host"], order["port"], Round(**order["places"])) as visitor:
        visits = list(_visits(visitor, order["first"]))
    json.dump([as_facts(visit) for visit in visits], sys.stdout)


def _visits(visitor: Visitor, first: int) -> Iterator[Visit]:
    for number in itertools.count(first):
        yield visitor.visit(number)
        if number + 1 == first + MORE_VISITS:
            sys.stdout.write("here\n")
            sys.stdout.flush()
        # Nothing more is ever written to it: what can be read there is its end.
        if select.select([sys.stdin], [], [], 0)[0]:
            break
    for last in range(number + 1, number + 1 + MORE_VISITS):
        yield visitor.visit(last)


if __name__ == "__main__":
    _main()
