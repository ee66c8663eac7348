"""Puts the kept results into benchmarks/README.md, between its markers, and draws the chart.

python -m benchmarks.report            also prints the bounds
python -m benchmarks.report --check    1 if a bound is not kept, or was not measured
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks import acceptance
from benchmarks.cases import CASES, WORKER, Case
from benchmarks.chart import draw
from benchmarks.markdown import rows
from benchmarks.results_file import LATEST, Result, Results, load
from benchmarks.servers import SERVER_NAMES

README = Path(__file__).with_name("README.md")
CHART = LATEST.with_name("chart.svg")
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__)
    parser.add_argument("--check", action="store_true")
    asked = parser.parse_args()
    results = load()
    if not results:
        print(f"nothing was measured yet: {LATEST.name} is not there", file=sys.stderr)
        return 1
    CHART.write_text(draw(results))
    before, rest = README.read_text().split(BEGIN)
    after = rest.split(END)[1]
    README.write_text("\n".join([f"{before}{BEGIN}", *figures(results), f"{END}{after}"]))
    print(*_bounds(results), sep="\n")
    kept = all(verdict.kept for verdict in acceptance.verdicts(results))
    return 1 if asked.check and not kept else 0


def figures(results: Results) -> Iterator[str]:
    """What stands between the markers."""
    yield ""
    yield "Seconds are medians of the rounds."
    for machine, dates in _machines(results).items():
        yield ""
        yield f"Measured on {' and '.join(sorted(dates))}:"
        yield ""
        yield from (f"- {line}" for line in machine)
    yield ""
    yield from _bounds(results)
    for case in CASES.values():
        found = [r for s in case.servers if (r := results.get((case.name, s)))]
        if found and case.clients != (WORKER,):
            yield ""
            yield f"### {case.title}"
            yield ""
            yield from _table(case, found)
    yield ""


def _bounds(results: Results) -> Iterator[str]:
    cells = [verdict.cells() for verdict in acceptance.verdicts(results)]
    yield from rows(acceptance.HEADER, cells)


def _machines(results: Results) -> dict[tuple[str, ...], set[str]]:
    found: dict[tuple[str, ...], set[str]] = {}
    for result in results.values():
        found.setdefault(tuple(result.machine), set()).add(result.measured)
    return found


def _table(case: Case, results: list[Result]) -> Iterator[str]:
    header = ["server", "engine", "of which publish", *case.clients[1:], "engine / lftp"]
    header += ["CPU of engine", "CPU of lftp"]
    body = []
    for result in results:
        cells = [SERVER_NAMES[result.server], _seconds(result, "engine")]
        cells.append(_number(result.fact("engine", "publish_seconds")))
        cells += [_seconds(result, client) for client in case.clients[1:]]
        cells.append(_ratio(result))
        cells += [_number(result.fact(client, "cpu_seconds")) for client in ("engine", "lftp")]
        body.append(cells)
    yield from rows(header, body)


def _seconds(result: Result, client: str) -> str:
    seconds = result.seconds(client)
    if seconds is not None:
        return _number(seconds)
    limit = result.limit(client)
    return result.ending(client) if limit is None else f"> {limit:.0f}"


def _ratio(result: Result) -> str:
    own, peer, limit = result.seconds("engine"), result.seconds("lftp"), result.limit("lftp")
    if own is None or (peer is None and limit is None):
        return "–"
    return f"{own / peer:.2f}" if peer is not None else f"< {own / (limit or 1):.2f}"


def _number(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds:.{1 if seconds >= 10 else 2}f}"


if __name__ == "__main__":
    sys.exit(main())
