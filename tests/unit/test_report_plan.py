"""A plan as it is shown: counted, listed, estimated."""

from __future__ import annotations

import json
from dataclasses import replace

from siteferry.report.plan import MOST_ROWS, Plan, Planned, dumps, plan_table
from siteferry.run import Direction, RunState, Snapshot

SNAPSHOT = Snapshot(
    run="20261124-092805-93a469",
    site="example",
    direction=Direction.IMPORT,
    state=RunState.DONE,
    created=0.0,
    now=1.0,
    skipped=7,
    round_trip_seconds=0.02,
)
PLAN = Plan(
    SNAPSHOT,
    (
        Planned("a.css", "create", 1000),
        Planned("b.html", "replace", 500, "ab"),
        Planned("c.html", "delete", 70),
    ),
    ("new",),
    connections=8,
)


def test_the_table_begins_with_the_sum_and_lists_each_file() -> None:
    assert plan_table(PLAN).splitlines() == [
        "example: 1 to create, 1 to replace, 1 to delete, 1 directories to make, 7 up to date; "
        "1.5 kB to send, about 1.0 s at 20 ms for a round trip",
        "  create      1.0 kB  a.css",
        "  replace      500 B  b.html",
        "  delete        70 B  c.html",
        "  mkdir               new/",
    ]


def test_a_long_list_is_cut_and_says_so() -> None:
    many = tuple(Planned(f"{n}.html", "create", 1) for n in range(MOST_ROWS + 5))
    lines = plan_table(replace(PLAN, files=many, directories=())).splitlines()
    assert len(lines) == MOST_ROWS + 2
    assert lines[-1] == "  … and 5 more to create"


def test_nothing_to_do_is_said_in_so_many_words() -> None:
    assert plan_table(replace(PLAN, files=(), directories=())) == (
        "example: nothing to do, 7 files are up to date"
    )


def test_the_estimate_grows_with_files_and_round_trips_and_shrinks_with_connections() -> None:
    many = replace(PLAN, files=tuple(Planned(f"{n}", "create", 1) for n in range(2521)))
    one = replace(many, connections=1)
    assert many.estimated_seconds is not None
    assert one.estimated_seconds is not None
    assert 7 * many.estimated_seconds < one.estimated_seconds * 1.2
    assert replace(PLAN, snapshot=replace(SNAPSHOT, round_trip_seconds=None)).estimated_seconds is (
        None
    )


def test_json_has_each_kind_in_a_list_of_its_own() -> None:
    told = json.loads(dumps([PLAN], many=False))
    assert told["create"] == [{"path": "a.css", "size": 1000}]
    assert told["replace"] == [{"path": "b.html", "size": 500, "sha256": "ab"}]
    assert told["delete"] == [{"path": "c.html", "size": 70}]
    assert (told["directories"], told["unchanged"], told["bytes"]) == (["new"], 7, 1500)
    assert json.loads(dumps([PLAN, PLAN], many=True))[1] == told


def test_names_cannot_steer_the_terminal() -> None:
    odd = replace(PLAN, files=(Planned("a\x1b[31m\nb", "create", 1),), directories=())
    lines = plan_table(odd).splitlines()
    assert len(lines) == 2
    assert "\x1b" not in lines[1]
