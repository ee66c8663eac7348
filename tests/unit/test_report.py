"""One snapshot, shown as a report, as JSON and in a table, and the figures that they share."""

from __future__ import annotations

import datetime as dt
import json
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siteferry import secret
from siteferry.report import figures
from siteferry.report.as_json import dumps, run_object
from siteferry.report.as_text import report
from siteferry.report.outcome import exit_code, highest
from siteferry.report.table import runs_table
from siteferry.run import Direction, FileFailure, RunFailure, RunState, Snapshot
from siteferry.secret import Secret

EVIL_NAME = "\x1b[31mevil\n"
SHOWN_EVIL_NAME = r"\x1b[31mevil\n"
BEGIN = dt.datetime(2026, 1, 31, 15, 45, 2, 123000, dt.UTC).timestamp()

QUEUED = Snapshot(
    run="20260131-154502-9f2c1a",
    site="example",
    direction=Direction.IMPORT,
    state=RunState.QUEUED,
    created=BEGIN - 1,
    now=BEGIN,
)
PLANNING = replace(
    QUEUED, state=RunState.PLANNING, started=BEGIN, files_found=2533, bytes_found=52_000_000
)
TRANSFERRING = replace(
    PLANNING,
    state=RunState.TRANSFERRING,
    now=BEGIN + 2.5,
    planned=True,
    files_to_send=2521,
    bytes_to_send=51_000_000,
    transferred=512,
    transferred_bytes=10_300_000,
    skipped=12,
)
DONE = replace(
    TRANSFERRING,
    state=RunState.DONE,
    now=BEGIN + 100,
    ended=BEGIN + 3.4,
    publishing_since=BEGIN + 3.1,
    publish_seconds=0.3,
    transferred=2521,
    transferred_bytes=51_000_000,
    deleted=3,
    dirs_created=1,
    workers={"one": 1261, "two": 1260},
)
FAILURE = FileFailure("css/site.css", "the server refused the file", "553 Disk is full.", 3)
INCOMPLETE = replace(
    TRANSFERRING,
    state=RunState.INCOMPLETE,
    ended=BEGIN + 3.4,
    transferred=2520,
    transferred_bytes=50_900_000,
    failed=1,
    failures=(FAILURE,),
)
REFUSED = RunFailure(
    "LoginRefused", "the host refuses the login", "530 No.", "Check the password.", 3
)
FAILED = replace(QUEUED, state=RunState.FAILED, started=BEGIN, ended=BEGIN + 1, error=REFUSED)
CANCELLED = replace(TRANSFERRING, state=RunState.CANCELLED, ended=BEGIN + 3)


def hostile(snapshot: Snapshot) -> Snapshot:
    return replace(
        snapshot,
        site=EVIL_NAME,
        failed=1,
        failures=(FileFailure(EVIL_NAME, EVIL_NAME, EVIL_NAME + "553", 2),),
        error=RunFailure("HostError", EVIL_NAME, EVIL_NAME, EVIL_NAME, 4),
        warnings=(EVIL_NAME,),
        workers={EVIL_NAME: 1, "two": 2},
    )


@pytest.fixture
def password(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(secret, "_revealed", set())
    return Secret("correct-horse-7316").reveal()


class TestExitCode:
    @pytest.mark.parametrize(
        ("snapshot", "code"),
        [
            (DONE, 0),
            (replace(DONE, failed=1), 1),
            (INCOMPLETE, 1),
            (replace(INCOMPLETE, error=REFUSED), 3),
            (replace(INCOMPLETE, error=replace(REFUSED, exit_code=0)), 1),
            (FAILED, 3),
            (replace(FAILED, error=None), 1),
            (CANCELLED, 8),
            (TRANSFERRING, 0),
        ],
    )
    def test_it_tells_how_the_run_ended(self, snapshot: Snapshot, code: int) -> None:
        assert exit_code(snapshot) == code

    def test_for_several_sites_it_is_the_highest(self) -> None:
        assert highest([0, 8, 3]) == 8
        assert highest([]) == 0


class TestFigures:
    @pytest.mark.parametrize(
        ("count", "shown"),
        [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (999_940, "999.9 kB"),
            (999_960, "1.0 MB"),
            (51_000_000, "51.0 MB"),
            (2_500_000_000_000_000, "2500.0 TB"),
        ],
    )
    def test_sizes(self, count: int, shown: str) -> None:
        assert figures.human_bytes(count) == shown

    def test_a_part_is_given_in_the_unit_of_the_whole(self) -> None:
        assert figures.human_bytes_of(300_000, 51_000_000) == "0.3/51.0 MB"
        assert figures.human_bytes_of(3, 512) == "3/512 B"

    @pytest.mark.parametrize(
        ("seconds", "shown"),
        [
            (0.0, "0 ms"),
            (0.0123, "12 ms"),
            (0.0996, "0.1 s"),
            (3.42, "3.4 s"),
            (59.94, "59.9 s"),
            (59.96, "1 min 00 s"),
            (125, "2 min 05 s"),
            (3599.7, "1 h 00 min"),
            (93_780, "26 h 03 min"),
        ],
    )
    def test_durations(self, seconds: float, shown: str) -> None:
        assert figures.human_duration(seconds) == shown

    def test_time_left_is_in_whole_seconds_and_never_too_short(self) -> None:
        assert figures.human_time_left(9.2) == "10 s"
        assert figures.human_time_left(59.5) == "1 min 00 s"

    def test_the_rate_is_unknown_until_time_has_passed(self) -> None:
        rate = figures.Rate()
        rate.add(100.0, 0)
        rate.add(100.0, 500)
        assert rate.bytes_per_second is None
        rate.add(102.0, 2500)
        assert rate.bytes_per_second == 1000

    def test_the_rate_looks_back_over_its_window_only(self) -> None:
        rate = figures.Rate(window_seconds=4.0)
        for second in range(11):
            rate.add(float(second), 1000 * second)
        for second in range(11, 15):
            rate.add(float(second), 10_000)
        assert rate.bytes_per_second == 0

    def test_the_rate_begins_anew_where_time_or_bytes_go_back(self) -> None:
        rate = figures.Rate()
        rate.add(10.0, 9000)
        rate.add(11.0, 0)
        rate.add(12.0, 700)
        assert rate.bytes_per_second == 700
        rate.add(5.0, 800)
        rate.add(6.0, 1000)
        assert rate.bytes_per_second == 200

    @given(st.lists(st.tuples(st.floats(0, 1e10), st.integers(0, 10**15))))
    def test_the_rate_is_never_negative(self, samples: list[tuple[float, int]]) -> None:
        rate = figures.Rate()
        for now, total in samples:
            rate.add(now, total)
            assert (rate.bytes_per_second or 0) >= 0

    def test_time_left_needs_final_totals_and_a_rate(self) -> None:
        assert figures.seconds_left(TRANSFERRING, 4_070_000) == 10
        assert figures.seconds_left(TRANSFERRING, None) is None
        assert figures.seconds_left(TRANSFERRING, 0.0) is None
        assert figures.seconds_left(replace(TRANSFERRING, comparing=1), 4_070_000) is None
        assert figures.seconds_left(replace(TRANSFERRING, planned=False), 4_070_000) is None

    def test_the_average_is_over_the_run_without_its_publish(self) -> None:
        assert figures.average_rate(DONE) == pytest.approx(51_000_000 / 3.1)
        assert figures.average_rate(replace(DONE, ended=BEGIN)) is None


class TestJson:
    def test_a_run_has_exactly_the_documented_keys(self) -> None:
        assert run_object(
            replace(INCOMPLETE, warnings=("a dangling link",), workers={"w": 9}, retries=2)
        ) == {
            "run": "20260131-154502-9f2c1a",
            "site": "example",
            "direction": "import",
            "state": "incomplete",
            "stats": {
                "uploaded": 2520,
                "adopted": 0,
                "skipped": 12,
                "failed": 1,
                "deleted": 0,
                "dirs_created": 0,
                "bytes": 50_900_000,
            },
            "retries": 2,
            "seconds": 3.4,
            "publish_seconds": None,
            "started": "2026-01-31T15:45:02.123Z",
            "publishing_since": None,
            "ended": "2026-01-31T15:45:05.523Z",
            "due": None,
            "exit_code": 1,
            "error": None,
            "failures": [
                {
                    "path": "css/site.css",
                    "error": "the server refused the file",
                    "reply": "553 Disk is full.",
                    "attempts": 3,
                }
            ],
            "warnings": ["a dangling link"],
            "workers": {"w": 9},
        }

    def test_an_export_counts_downloads(self) -> None:
        stats = run_object(replace(DONE, direction=Direction.EXPORT))["stats"]
        assert isinstance(stats, dict)
        assert stats["downloaded"] == 2521
        assert "uploaded" not in stats

    def test_the_error_of_a_run_is_an_object(self) -> None:
        assert run_object(FAILED)["error"] == {
            "kind": "LoginRefused",
            "message": "the host refuses the login",
            "reply": "530 No.",
            "next_step": "Check the password.",
            "exit_code": 3,
        }

    def test_what_is_not_known_yet_is_null(self) -> None:
        run = run_object(QUEUED)
        assert [run[key] for key in ("started", "ended", "exit_code", "publish_seconds")] == (
            [None] * 4
        )

    def test_one_run_is_an_object_and_many_are_a_list(self) -> None:
        assert json.loads(dumps([DONE], many=False)) == run_object(DONE)
        assert json.loads(dumps([DONE], many=True)) == [run_object(DONE)]
        assert json.loads(dumps([], many=True)) == []
        with pytest.raises(ValueError, match="too many"):
            dumps([DONE, FAILED], many=False)

    def test_hostile_names_come_back_unchanged_from_harmless_text(self) -> None:
        text = dumps([hostile(FAILED)], many=False)
        assert text.isascii()
        assert text.isprintable()
        assert json.loads(text)["failures"][0]["path"] == EVIL_NAME


class TestReport:
    def test_a_run_that_did_everything(self) -> None:
        assert report(DONE).splitlines() == [
            "example: done in 3.4 s",
            "  2,521 uploaded, 12 already up to date, 0 failed, 3 deleted, 1 directory created",
            "  51.0 MB at 16.5 MB/s on average",
            "  the site was a mixture of old and new files for 0.3 s",
            "  files by worker: one 1,261, two 1,260",
        ]

    def test_a_run_with_nothing_to_do_is_short(self) -> None:
        nothing = replace(DONE, transferred=0, transferred_bytes=0, deleted=0, dirs_created=0)
        assert report(replace(nothing, publish_seconds=None, workers={"one": 1})).splitlines() == [
            "example: done in 3.4 s",
            "  0 uploaded, 12 already up to date, 0 failed",
        ]

    def test_an_incomplete_run_names_each_failure_with_the_servers_line_and_attempts(self) -> None:
        assert report(INCOMPLETE).splitlines() == [
            "example: incomplete, nothing was published",
            "  2,520 uploaded, 12 already up to date, 1 failed",
            "  50.9 MB at 15.0 MB/s on average",
            "  failed: css/site.css: the server refused the file (3 attempts)",
            "    the server said: 553 Disk is full.",
            "  next: run the same import again after mending it; it does only what is left",
        ]

    def test_a_failed_run_gives_its_error_and_the_next_steps(self) -> None:
        assert report(FAILED).splitlines() == [
            "example: failed after 1.0 s, nothing was published",
            "  0 uploaded, 0 already up to date, 0 failed",
            "  the run could not go on: the host refuses the login",
            "    the server said: 530 No.",
            "  next: Check the password.",
            "  next: run the same import again after mending it; it does only what is left",
        ]

    @pytest.mark.parametrize(
        ("snapshot", "headline"),
        [
            (replace(INCOMPLETE, publish_seconds=0.1), "incomplete, what succeeded was published"),
            (replace(INCOMPLETE, direction=Direction.EXPORT), "incomplete, 2,520 files are here"),
            (
                replace(FAILED, publishing_since=BEGIN),
                "failed after 1.0 s, in the middle of publishing",
            ),
            (CANCELLED, "cancelled after 3.0 s, nothing was published"),
            (replace(DONE, failed=1), "done in 3.4 s, but not every file"),
            (TRANSFERRING, "transferring, 2.5 s so far"),
            (QUEUED, "queued for 1.0 s"),
        ],
    )
    def test_the_headline_says_what_became_of_the_site(
        self, snapshot: Snapshot, headline: str
    ) -> None:
        assert report(snapshot).splitlines()[0] == f"example: {headline}"

    @pytest.mark.parametrize("snapshot", [QUEUED, TRANSFERRING, DONE])
    def test_a_run_that_needs_nothing_names_no_next_step(self, snapshot: Snapshot) -> None:
        assert "next:" not in report(snapshot)

    def test_an_export_is_run_again_as_an_export(self) -> None:
        assert "run the same export again" in report(replace(CANCELLED, direction=Direction.EXPORT))

    def test_at_most_twenty_failures_and_ten_warnings_are_listed(self) -> None:
        many = replace(
            INCOMPLETE,
            failed=31,
            failures=tuple(replace(FAILURE, path=f"{number}.css") for number in range(25)),
            warnings=tuple(f"warning {number}" for number in range(12)),
        )
        short = report(many)
        assert short.count("failed: ") == 20
        assert "  … and 11 more: siteferry status 20260131-154502-9f2c1a\n" in short
        assert short.count("warning: ") == 10
        assert "  … and 2 more: siteferry status 20260131-154502-9f2c1a\n" in short

        whole = report(many, whole=True)
        assert whole.count("failed: ") == 25
        assert whole.count("warning: ") == 12
        assert re.findall("….*", whole) == ["… and 6 more"]

    def test_a_reply_that_the_message_already_quotes_is_not_repeated(self) -> None:
        quoting = replace(FAILURE, error="refused; the server said: 553 Disk is full.")
        assert report(replace(INCOMPLETE, failures=(quoting,))).count("553 Disk is full.") == 1

    @pytest.mark.parametrize("snapshot", [QUEUED, TRANSFERRING, DONE, INCOMPLETE, FAILED])
    def test_hostile_names_are_shown_escaped(self, snapshot: Snapshot) -> None:
        text = report(hostile(snapshot))
        assert all(line.isprintable() for line in text.split("\n"))
        assert f"failed: {SHOWN_EVIL_NAME}: {SHOWN_EVIL_NAME} (2 attempts)" in text
        assert len(text.split("\n")) <= 13

    def test_secrets_are_masked_in_text_and_json(self, password: str) -> None:
        leaking = replace(
            FAILED,
            error=replace(REFUSED, message=f"no {password}", reply=f"530 {password}"),
            failures=(replace(FAILURE, error=password, reply=f"553 {password}"),),
            warnings=(f"careful: {password}",),
        )
        for text in (report(leaking), dumps([leaking], many=False)):
            assert password not in text
            assert "530 **redacted**" in text


class TestTable:
    def test_runs_are_aligned_under_a_header(self) -> None:
        exported = replace(FAILED, site="a-longer-site", run="r2")
        assert runs_table([DONE, exported], dt.UTC).splitlines() == [
            "RUN                     SITE           STATE   FILES     SIZE  FAILED  SECONDS  WHEN",
            "20260131-154502-9f2c1a  example        done    2,521  51.0 MB       0      3.4  "
            "2026-01-31 15:45:01",
            "r2                      a-longer-site  failed      0      0 B       0      1.0  "
            "2026-01-31 15:45:01",
        ]

    def test_the_time_is_that_of_the_given_zone(self) -> None:
        vilnius = dt.timezone(dt.timedelta(hours=2))
        assert runs_table([DONE], vilnius).endswith("2026-01-31 17:45:01")

    def test_a_hostile_name_is_shown_escaped(self) -> None:
        lines = runs_table([hostile(DONE)], dt.UTC).split("\n")
        assert len(lines) == 2
        assert all(line.isprintable() for line in lines)
        assert SHOWN_EVIL_NAME in lines[1]
