"""Many runs in one report: a table, what went wrong, the sums; and their progress."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace

import pytest
from rich.console import Console

from siteferry.errors import ConfigurationError, TargetHeld
from siteferry.report.as_json import dumps
from siteferry.report.fleet import MOST_FAILURES, fleet_report
from siteferry.report.fleet_bar import MOST_SHOWN, FleetBar
from siteferry.report.fleet_lines import FleetLines
from siteferry.report.lines import LinePrinter
from siteferry.report.not_started import not_started
from siteferry.report.outcome import exit_code, highest
from siteferry.report.printer import MOST_APART, choose_printer
from siteferry.run import Direction, FileFailure, RunFailure, RunState, Snapshot

BEGIN = 1_769_874_302.0
DONE = Snapshot(
    run="20260131-154502-9f2c1a",
    site="example",
    direction=Direction.IMPORT,
    state=RunState.DONE,
    created=BEGIN,
    now=BEGIN + 9,
    started=BEGIN + 0.5,
    ended=BEGIN + 2.5,
    transferred=1_234,
    transferred_bytes=51_000_000,
    skipped=17,
    deleted=3,
)
SILENT = RunFailure(
    "HostUnreachable", "ftp.example.com does not answer", None, "Try again later.", 4
)
LONGEST = "a-customer-whose-name-is-much-longer-than-the-column-of-a-table.example.com"


def run(name: str, **changes: object) -> Snapshot:
    return replace(DONE, run=f"run-{name}", site=name, **changes)  # type: ignore[arg-type]


def incomplete(name: str, failed: int) -> Snapshot:
    failures = tuple(
        FileFailure(f"page-{n:02}.html", "the server refused it", "553 Not allowed.", 1)
        for n in range(failed)
    )
    return run(name, state=RunState.INCOMPLETE, failed=failed, failures=failures, deleted=0)


def rows(text: str) -> list[list[str]]:
    return [line.split() for line in text.partition("\n\n")[0].splitlines()]


class TestReport:
    def test_every_website_is_a_row_with_its_numbers(self) -> None:
        held = not_started("shop", TargetHeld("run x holds it", run="x"))
        text = fleet_report([run("client-a"), incomplete("client-b", 2), held], width=80)
        assert rows(text) == [
            ["SITE", "STATE", "UPLOADED", "SKIPPED", "FAILED", "DELETED", "SIZE", "SECONDS"],
            ["client-a", "done", "1,234", "17", "0", "3", "51.0", "MB", "2.0"],
            ["client-b", "incomplete", "1,234", "17", "2", "0", "51.0", "MB", "2.0"],
            ["shop", "failed", "0", "0", "0", "0", "0", "B", "0.0"],
        ]

    def test_numbers_stand_in_columns(self) -> None:
        text = fleet_report([run("a", transferred=7), run("a-longer-name")], width=80)
        header, first, second = text.splitlines()[:3]
        end = header.index("UPLOADED") + len("UPLOADED")
        assert first[:end].endswith("  7")
        assert second[:end].endswith(" 1,234")
        assert len(header) == len(first) == len(second)

    def test_on_80_columns_no_line_is_longer_and_no_name_is_cut(self) -> None:
        names = ["shop", "client-07.example.com", LONGEST]
        table = fleet_report([incomplete(name, 1) for name in names], width=80)
        lines = table.partition("\n\n")[0].splitlines()
        assert max(map(len, lines)) <= 80
        assert LONGEST in lines, "it stands on a line of its own"
        assert lines[lines.index(LONGEST) + 1].split()[0] == "incomplete"
        assert [name in table for name in names] == [True] * 3
        wide = fleet_report([incomplete(name, 1) for name in names], width=160)
        assert any(line.startswith(f"{LONGEST}  incomplete") for line in wide.splitlines())

    def test_failures_are_told_with_the_servers_words_and_bounded_for_each_run(self) -> None:
        text = fleet_report([incomplete("client-a", 40), incomplete("client-b", 1)], width=80)
        assert text.count("failed: page-") == MOST_FAILURES + 1
        assert text.count("the server said: 553 Not allowed.") == MOST_FAILURES + 1
        assert f"… and {40 - MOST_FAILURES} more: siteferry status run-client-a" in text
        assert "client-b: incomplete, nothing was published" in text

    def test_what_ended_several_runs_is_told_once_with_all_their_names(self) -> None:
        names = [f"client-{n:03}" for n in range(30)]
        failed = [run(name, state=RunState.FAILED, error=SILENT) for name in names]
        below = fleet_report([*failed, run("shop")], width=80).partition("\n\n")[2]
        assert below.count("does not answer") == 1
        assert below.count("next: Try again later.") == 1
        told = below.partition("  ftp.example.com")[0]
        assert re.findall(r"client-\d+", told) == names
        assert max(map(len, below.splitlines())) <= 80
        assert "shop" not in told

    def test_a_website_that_could_not_be_started_is_told_line_by_line(self) -> None:
        error = ConfigurationError("a.yaml:1: x: is wrong\na.yaml:2: y: too", next_step="Mend it.")
        text = fleet_report([not_started("a", error), run("b")], width=80)
        assert "\n\na:\n  a.yaml:1: x: is wrong\n  a.yaml:2: y: too\n  next: Mend it.\n" in text

    def test_the_same_warning_of_many_is_told_once_with_some_of_their_names(self) -> None:
        warned = [run(f"client-{n:02}", warnings=("FTP goes in plain",)) for n in range(25)]
        text = fleet_report([*warned, run("x", warnings=("another",))], width=80)
        assert text.count("warning: FTP goes in plain") == 1
        assert "client-09 and 15 more" in text
        assert "warning: another\n  x\n" in text

    def test_the_sums_and_the_slowest_stand_at_the_end(self) -> None:
        fleet = [
            run("quick"),
            run("slow", ended=BEGIN + 40.5, state=RunState.INCOMPLETE, failed=1),
            run("middle", ended=BEGIN + 12.5),
            run("other", ended=BEGIN + 4.5),
            not_started("broken", ConfigurationError("it is broken")),
        ]
        last = fleet_report(fleet, width=80).split("\n\n")[-1]
        assert last.splitlines() == [
            "5 websites: 3 done, 1 incomplete, 1 failed, in 40.5 s",
            "4,936 uploaded, 68 already up to date, 1 failed, 12 deleted; 204.0 MB",
            "slowest: slow 40.0 s, middle 12.0 s, other 4.0 s",
            "next: run the same again after mending what failed; it does only what is left",
        ]

    def test_where_all_is_done_nothing_is_said_of_failures(self) -> None:
        text = fleet_report([run("a"), run("b")], width=80)
        assert "next:" not in text
        assert len(text.split("\n\n")) == 2

    def test_hostile_text_is_escaped(self) -> None:
        evil = "\x1b[31mevil"
        failure = FileFailure(f"{evil}.html", evil, f"550 {evil}", 1)
        error = replace(SILENT, message=evil, reply=evil)
        fleet = [
            run(evil, failed=1, failures=(failure,)),
            run("b", state=RunState.FAILED, error=error, warnings=(evil,)),
        ]
        assert "\x1b" not in fleet_report(fleet, width=80)


class TestNotStarted:
    def test_it_is_an_object_with_all_keys_and_no_run(self) -> None:
        error = TargetHeld("run x holds it", run="x", next_step="Wait for it.")
        started, refused = json.loads(dumps([DONE, not_started("shop", error)], True))
        assert set(refused) == set(started)
        assert refused["run"] is None
        assert (refused["site"], refused["state"], refused["exit_code"]) == ("shop", "failed", 5)
        assert refused["error"] == {
            "kind": "TargetHeld",
            "message": "run x holds it",
            "reply": None,
            "next_step": "Wait for it.",
            "exit_code": 5,
        }
        assert (refused["seconds"], refused["started"], refused["ended"]) == (0.0, None, None)

    def test_its_code_counts(self) -> None:
        refused = not_started("shop", ConfigurationError("it is broken"))
        assert highest(exit_code(s) for s in (DONE, refused, incomplete("a", 1))) == 2


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def going_on(name: str, state: RunState = RunState.TRANSFERRING) -> Snapshot:
    return run(name, state=state, ended=None, transferred=10, transferred_bytes=1_000_000)


class TestLines:
    def test_each_run_that_ends_is_a_line(self) -> None:
        stream = io.StringIO()
        printer = FleetLines(stream, Clock(), 200)
        printer.update(going_on("a"))
        printer.update(going_on("b"))
        printer.close(run("b"))
        printer.close(run("a", state=RunState.FAILED, transferred=0, transferred_bytes=0))
        assert stream.getvalue().splitlines() == [
            "[1/200] b done 1234 files, 51.0 MB in 2.0 s",
            "[2/200] a failed 0 files, 0 B in 2.0 s",
        ]

    def test_the_sums_are_told_when_nothing_else_was_for_a_minute(self) -> None:
        stream, clock = io.StringIO(), Clock()
        printer = FleetLines(stream, clock, 200)
        printer.close(run("a", state=RunState.FAILED, transferred=0, transferred_bytes=0))
        for clock.now in (30.0, 59.0, 60.0, 61.0):
            printer.update(going_on("b"))
            printer.update(going_on("c"))
        assert stream.getvalue().splitlines()[1:] == [
            "1 of 200 ended, 1 failed, 2 running, 197 waiting, 20 files, 2.0 MB"
        ]


class TestBar:
    @staticmethod
    def drawn(*snapshots: Snapshot, runs: int = 200, width: int = 100) -> list[str]:
        """The lines of the screen after the last of `snapshots`."""
        stream = io.StringIO()
        console = Console(file=stream, force_terminal=True, width=width, color_system=None)
        bar = FleetBar(console, runs, auto_refresh=False)
        with bar:
            for snapshot in snapshots:
                stream.truncate(stream.seek(0))
                (bar.close if snapshot.state.ended else bar.update)(snapshot)
            # Each drawing begins where the cursor goes back to the first line.
            last = stream.getvalue().rpartition("\x1b[2K")[2]
        return [re.sub(r"\r|\x1b\[[0-9;?]*[A-Zlh]", "", line) for line in last.splitlines()]

    def test_sums_and_a_few_that_go_on_are_shown_not_all(self) -> None:
        queued = [going_on(f"queued-{n}", RunState.QUEUED) for n in range(100)]
        running = [going_on(f"running-{n}") for n in range(50)]
        lines = self.drawn(*queued, *running)
        assert lines[0].startswith("0 of 200 ended")
        assert "50 running, 150 waiting, 1,500 files, 150.0 MB" in lines[0]
        assert [line.split()[0] for line in lines[1:]] == [
            f"running-{n}" for n in range(MOST_SHOWN)
        ]

    def test_when_one_ends_another_takes_its_place(self) -> None:
        running = [going_on(f"running-{n}") for n in range(10)]
        ended = run("running-2", state=RunState.INCOMPLETE, failed=1)
        lines = self.drawn(*running, ended, *running[3:])
        assert "1 failed, 9 running, 190 waiting" in lines[0]
        shown = [line.split()[0] for line in lines[1:]]
        assert shown == [f"running-{n}" for n in (0, 1, 3, 4, 5, 6)]

    def test_at_80_columns_it_keeps_to_its_lines(self) -> None:
        lines = self.drawn(*(going_on(f"client-{n:03}.example.com") for n in range(10)), width=80)
        assert max(map(len, lines)) <= 80
        assert len(lines) == 1 + MOST_SHOWN
        assert "10 running, 190 waiting" in lines[0]


def test_a_few_runs_are_shown_one_by_one_and_many_as_a_fleet() -> None:
    for runs, lines in ((MOST_APART, LinePrinter), (MOST_APART + 1, FleetLines)):
        assert isinstance(choose_printer(False, json=False, quiet=False, runs=runs), lines)
    few = choose_printer(True, json=False, quiet=False, runs=MOST_APART)
    assert not isinstance(few, FleetBar)
    many = choose_printer(True, json=False, quiet=False, runs=MOST_APART + 1)
    assert isinstance(many, FleetBar)


@pytest.mark.parametrize("count", [1, 3])
def test_a_snapshot_counts_once_however_often_it_comes(count: int) -> None:
    stream, clock = io.StringIO(), Clock()
    printer = FleetLines(stream, clock, 2)
    for _ in range(count):
        printer.update(going_on("a"))
    clock.now = 60.0
    printer.update(going_on("a"))
    assert "1 running, 1 waiting, 10 files, 1.0 MB" in stream.getvalue()
