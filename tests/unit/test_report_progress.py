"""Progress as lines and as a bar: what is known of a run on its way, and nothing else."""

from __future__ import annotations

import io
import json
import re
import sys
from dataclasses import replace

import pytest
from rich.console import Console

from siteferry.report.as_json import dumps, run_object
from siteferry.report.as_text import progress_line
from siteferry.report.bar import ProgressBar
from siteferry.report.lines import LinePrinter
from siteferry.report.printer import SilentPrinter, choose_printer
from siteferry.run import Direction, RunState, Snapshot

SHOWN_EVIL_NAME = r"\x1b[31mevil\n"
BEGIN = 1_769_874_302.0

QUEUED = Snapshot(
    run="20260131-154502-9f2c1a",
    site="example",
    direction=Direction.IMPORT,
    state=RunState.QUEUED,
    created=BEGIN,
    now=BEGIN,
)
PLANNING = replace(QUEUED, state=RunState.PLANNING, files_found=2533, bytes_found=52_000_000)
TRANSFERRING = replace(
    PLANNING,
    state=RunState.TRANSFERRING,
    now=BEGIN + 2.5,
    planned=True,
    files_to_send=2521,
    bytes_to_send=51_000_000,
    transferred=512,
    transferred_bytes=10_300_000,
)
INCOMPLETE = replace(
    TRANSFERRING,
    state=RunState.INCOMPLETE,
    transferred=2520,
    transferred_bytes=50_900_000,
    failed=1,
)
DONE = replace(TRANSFERRING, state=RunState.DONE, transferred=2521, transferred_bytes=51_000_000)
EVIL_NAME = "\x1b[31mevil\n"


class TestProgressLine:
    @pytest.mark.parametrize(
        ("snapshot", "line"),
        [
            (QUEUED, "example queued"),
            (replace(PLANNING, files_found=0), "example planning"),
            (PLANNING, "example planning 2533 files found, 52.0 MB"),
            (
                TRANSFERRING,
                "example transferring 512/2521 files, 10.3/51.0 MB, 4.1 MB/s, 10 s left",
            ),
            (
                replace(TRANSFERRING, comparing=1, failed=2),
                "example transferring 512 files, 10.3 MB, 2 failed, 4.1 MB/s",
            ),
            (
                replace(DONE, state=RunState.PUBLISHING),
                "example publishing 2521/2521 files, 51.0/51.0 MB",
            ),
            (INCOMPLETE, "example incomplete 2520/2521 files, 50.9/51.0 MB, 1 failed"),
        ],
    )
    def test_it_shows_what_is_known_in_each_state(self, snapshot: Snapshot, line: str) -> None:
        assert progress_line(snapshot, 4_100_000) == line

    def test_without_a_rate_there_is_no_time_left(self) -> None:
        assert progress_line(TRANSFERRING) == ("example transferring 512/2521 files, 10.3/51.0 MB")

    def test_a_hostile_name_is_shown_escaped(self) -> None:
        assert progress_line(replace(QUEUED, site=EVIL_NAME)) == f"{SHOWN_EVIL_NAME} queued"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class TestLinePrinter:
    def test_it_prints_when_the_state_changes_and_at_most_every_two_seconds(self) -> None:
        stream, clock = io.StringIO(), Clock()
        with LinePrinter(stream, clock) as printer:
            printer.update(QUEUED)
            printer.update(PLANNING)
            for tenth in range(50):
                clock.now = 1000 + tenth / 10
                moved = TRANSFERRING.transferred_bytes + tenth * 100_000
                now = TRANSFERRING.now + tenth / 10
                printer.update(replace(TRANSFERRING, now=now, transferred_bytes=moved))
            printer.update(DONE)
            printer.close(DONE)
        assert stream.getvalue().splitlines() == [
            "example queued",
            "example planning 2533 files found, 52.0 MB",
            "example transferring 512/2521 files, 10.3/51.0 MB, 4.1 MB/s, 10 s left",
            "example transferring 512/2521 files, 12.3/51.0 MB, 2.7 MB/s, 15 s left",
            "example transferring 512/2521 files, 14.3/51.0 MB, 2.2 MB/s, 17 s left",
            "example done 2521/2521 files, 51.0/51.0 MB",
        ]

    def test_a_line_that_says_nothing_new_is_not_repeated(self) -> None:
        stream, clock = io.StringIO(), Clock()
        printer = LinePrinter(stream, clock)
        for _ in range(3):
            clock.now += 60
            printer.update(QUEUED)
        assert stream.getvalue() == "example queued\n"

    def test_runs_are_told_apart(self) -> None:
        stream, clock = io.StringIO(), Clock()
        printer = LinePrinter(stream, clock)
        other = replace(QUEUED, run="other", site="second")
        for snapshot in (QUEUED, other, QUEUED, other):
            printer.update(snapshot)
        assert stream.getvalue() == "example queued\nsecond queued\n"

    def test_closing_shows_the_last_state_even_if_no_update_did(self) -> None:
        stream = io.StringIO()
        LinePrinter(stream, Clock()).close(replace(QUEUED, state=RunState.FAILED))
        assert stream.getvalue() == "example failed 0 files, 0 B\n"


class TestProgressBar:
    """Drawn on a rich console of fixed width, without colours."""

    @staticmethod
    def drawn(*snapshots: Snapshot, width: int = 100, close: bool = False) -> str:
        stream = io.StringIO()
        console = Console(file=stream, force_terminal=True, width=width, color_system=None)
        bar = ProgressBar(console, auto_refresh=False)
        with bar:
            for snapshot in snapshots:
                stream.truncate(stream.seek(0))
                bar.update(snapshot)
            if close:
                stream.truncate(stream.seek(0))
                bar.close(snapshots[-1])
                bar.update(replace(QUEUED, run="other", site="second"))
            return stream.getvalue()

    @staticmethod
    def without_cursor_movements(drawn: str) -> str:
        return re.sub(r"\r|\x1b\[[0-9;?]*[A-Zlh]|\x1b\[2K", "", drawn)

    def test_it_shows_phase_files_bytes_rate_and_time_left(self) -> None:
        earlier = replace(TRANSFERRING, now=BEGIN, transferred_bytes=50_000)
        text = self.without_cursor_movements(self.drawn(PLANNING, earlier, TRANSFERRING))
        assert re.fullmatch(
            r"example transferring [━╸╺ ]+ "
            r"512/2521 files, 10\.3/51\.0 MB, 4\.1 MB/s, 10 s left\s*",
            text,
        )
        bar = re.findall("[━╸]", text)
        assert bar

    def test_the_bar_is_as_long_as_the_share_of_bytes(self) -> None:
        def length(snapshot: Snapshot) -> int:
            return self.drawn(replace(snapshot, now=BEGIN)).count("━")

        half = replace(TRANSFERRING, transferred_bytes=25_500_000)
        whole = replace(TRANSFERRING, transferred_bytes=51_000_000)
        assert length(half) == pytest.approx(length(whole) / 2, abs=1)

    def test_while_planning_it_is_quiet_about_totals(self) -> None:
        text = self.without_cursor_movements(self.drawn(PLANNING))
        assert re.fullmatch(r"example planning [━╸╺ ]+ 2533 files found, 52\.0 MB\s*", text)

    def test_it_pulses_until_totals_are_final(self) -> None:
        # A pulse fills the width; a fifth of the bytes would fill a fifth of it.
        assert self.drawn(replace(TRANSFERRING, now=BEGIN, comparing=1)).count("━") > 50

    def test_a_hostile_or_marked_up_name_is_text(self) -> None:
        evil = self.drawn(replace(TRANSFERRING, site=EVIL_NAME))
        assert f"{SHOWN_EVIL_NAME} transferring" in evil
        assert "\x1b[31m" not in evil
        assert "[bold]x[/] queued" in self.drawn(replace(QUEUED, site="[bold]x[/]"))

    def test_on_a_narrow_terminal_it_keeps_to_one_line(self) -> None:
        text = self.without_cursor_movements(self.drawn(TRANSFERRING, width=40))
        assert max(map(len, text.splitlines())) <= 40
        assert len(text.splitlines()) == 1

    def test_a_closed_run_leaves_the_screen(self) -> None:
        text = self.drawn(TRANSFERRING, close=True)
        assert "second queued" in text
        assert "example" not in text

    def test_a_run_of_empty_files_has_a_bar_of_files(self) -> None:
        empty = replace(TRANSFERRING, bytes_to_send=0, transferred_bytes=0, now=BEGIN)
        none_done = self.drawn(replace(empty, transferred=0)).count("━")
        all_done = self.drawn(replace(empty, transferred=2521)).count("━")
        assert none_done < all_done


class TestChoosingAPrinter:
    def test_a_terminal_gets_a_bar_and_anything_else_lines(self) -> None:
        assert isinstance(choose_printer(True, json=False, quiet=False), ProgressBar)
        assert isinstance(choose_printer(False, json=False, quiet=False), LinePrinter)

    def test_a_terminal_that_cannot_move_its_cursor_gets_lines(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("TERM", "dumb")
        assert isinstance(choose_printer(True, json=False, quiet=False), LinePrinter)

    @pytest.mark.parametrize("json", [True, False])
    def test_quiet_shows_nothing(self, capsys: pytest.CaptureFixture[str], json: bool) -> None:
        with choose_printer(True, json=json, quiet=True) as printer:
            assert isinstance(printer, SilentPrinter)
            printer.update(QUEUED)
            printer.close(DONE)
        assert capsys.readouterr() == ("", "")

    @pytest.mark.parametrize("terminal", [True, False])
    def test_with_json_progress_leaves_standard_output_alone(
        self, capsys: pytest.CaptureFixture[str], terminal: bool
    ) -> None:
        with choose_printer(terminal, json=True, quiet=False) as printer:
            printer.update(TRANSFERRING)
            sys.stdout.write(dumps([DONE], many=False))
            printer.close(DONE)
        out, err = capsys.readouterr()
        assert json.loads(out) == run_object(DONE)
        assert terminal or "example transferring" in err

    def test_without_json_progress_stands_before_the_report(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with choose_printer(False, json=False, quiet=False) as printer:
            printer.update(TRANSFERRING)
        assert capsys.readouterr().out.startswith("example transferring")
