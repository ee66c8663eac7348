"""Comparing with a listing: every mode, the server's clock, and digests of local files."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from siteferry.errors import SourceChanged, SourceUnreadable
from siteferry.tree.clock_offset import (
    FARTHEST_SECONDS,
    FEWEST_PAIRS,
    STEP_SECONDS,
    ServerClock,
    learn_offset,
)
from siteferry.tree.content_digest import Algorithm, ContentDigest, local_digest
from siteferry.tree.found import FoundDirectory, FoundFile
from siteferry.tree.remote_compare import (
    RemoteComparison,
    RemoteFile,
    RemoteMode,
    compare_remote,
    times_of_pairs,
)

NOON = 1_700_049_600
HOUR = 3600
MODES: list[RemoteMode] = ["listing", "mtime", "adopt", "checksum"]


def found(name: str = "a.css", size: int = 5, mtime: int = NOON) -> FoundFile:
    return FoundFile(f"css/{name}", f"/src/css/{name}", size, mtime)


def outcome(
    there: RemoteFile | None,
    mode: RemoteMode,
    *,
    clock: ServerClock | None = None,
    mtime: int = NOON,
) -> str:
    """What becomes of one file of 5 bytes."""
    directory = FoundDirectory("css", (found(mtime=mtime),))
    result = compare_remote(directory, {"a.css": there} if there else {}, mode, clock)
    places = {"changed": result.changed, "unchanged": result.unchanged, "asked": result.asked}
    (place,) = [place for place, files in places.items() if files]
    return place


# -- modes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_a_file_that_is_missing_there_is_changed(mode: RemoteMode) -> None:
    assert outcome(None, mode) == "changed"


@pytest.mark.parametrize("mode", MODES)
def test_a_file_of_another_size_is_changed_whatever_its_time(mode: RemoteMode) -> None:
    assert outcome(RemoteFile(6, NOON), mode) == "changed"
    assert outcome(RemoteFile(0, NOON + HOUR), mode) == "changed"


@pytest.mark.parametrize(
    ("mode", "same_time", "older_there", "newer_there", "time_untold"),
    [
        ("listing", "unchanged", "changed", "changed", "changed"),
        ("mtime", "unchanged", "changed", "unchanged", "changed"),
        ("adopt", "unchanged", "unchanged", "unchanged", "unchanged"),
        ("checksum", "asked", "asked", "asked", "asked"),
    ],
)
def test_what_the_time_of_a_file_of_the_same_size_says_in_each_mode(
    mode: RemoteMode, same_time: str, older_there: str, newer_there: str, time_untold: str
) -> None:
    assert outcome(RemoteFile(5, NOON), mode) == same_time
    assert outcome(RemoteFile(5, NOON - HOUR), mode) == older_there
    assert outcome(RemoteFile(5, NOON + HOUR), mode) == newer_there
    assert outcome(RemoteFile(5, None), mode) == time_untold


@pytest.mark.parametrize(
    ("mode", "place"), [("listing", "changed"), ("mtime", "changed"), ("adopt", "changed")]
)
def test_a_size_that_the_server_does_not_tell_proves_nothing(mode: RemoteMode, place: str) -> None:
    assert outcome(RemoteFile(None, NOON), mode) == place


def test_in_mode_checksum_the_reason_for_asking_is_told() -> None:
    directory = FoundDirectory("css", (found("a.css"), found("b.css")))
    there = {"a.css": RemoteFile(5, None), "b.css": RemoteFile(None, NOON)}
    asked = compare_remote(directory, there, "checksum").asked
    assert [(one.found.path, one.reason) for one in asked] == [
        ("css/a.css", "the size is the same, so only the content tells"),
        ("css/b.css", "the server does not tell its size"),
    ]


def test_names_are_those_in_the_directory_and_what_is_only_there_is_passed_over() -> None:
    directory = FoundDirectory("css", (found("a.css"), found("b.css"), found("c.css")))
    there = {
        "a.css": RemoteFile(5, NOON),
        "css/b.css": RemoteFile(5, NOON),
        "c.css": RemoteFile(4, NOON),
        "old.css": RemoteFile(5, NOON),
    }
    assert compare_remote(directory, there, "listing") == RemoteComparison(
        changed=(found("b.css"), found("c.css")), unchanged=(found("a.css"),)
    )


remote_files = st.builds(
    RemoteFile,
    st.none() | st.integers(0, 3),
    st.none() | st.integers(NOON - 2, NOON + 2),
)


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 3)),
    st.dictionaries(st.sampled_from("abcdef"), remote_files),
    st.sampled_from(MODES),
)
def test_every_file_is_in_exactly_one_place(
    sizes: dict[str, int], there: dict[str, RemoteFile], mode: RemoteMode
) -> None:
    directory = FoundDirectory("css", tuple(found(name, sizes[name]) for name in sorted(sizes)))
    result = compare_remote(directory, there, mode)
    placed = [*result.changed, *result.unchanged, *(one.found for one in result.asked)]
    assert sorted(placed, key=lambda one: one.path) == list(directory.files)
    assert all(there[one.path[4:]].size == one.size for one in result.unchanged)


# -- precision and time zone ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("precision", "off", "place"),
    [(1, 1, "unchanged"), (1, 2, "changed"), (60, 60, "unchanged"), (60, 61, "changed")],
)
@pytest.mark.parametrize("sign", [1, -1])
def test_times_agree_within_the_servers_precision(
    precision: int, off: int, place: str, sign: int
) -> None:
    clock = ServerClock(precision_seconds=precision)
    assert outcome(RemoteFile(5, NOON + sign * off), "listing", clock=clock) == place


def test_newer_is_what_is_newer_beyond_the_precision() -> None:
    minutes = ServerClock(precision_seconds=60)
    assert outcome(RemoteFile(5, NOON), "mtime", clock=minutes, mtime=NOON + 60) == "unchanged"
    assert outcome(RemoteFile(5, NOON), "mtime", clock=minutes, mtime=NOON + 61) == "changed"


def test_the_time_zone_is_taken_off_before_times_are_compared() -> None:
    berlin = ServerClock(offset_seconds=2 * HOUR)
    assert outcome(RemoteFile(5, NOON + 2 * HOUR), "listing", clock=berlin) == "unchanged"
    assert outcome(RemoteFile(5, NOON), "listing", clock=berlin) == "changed"
    # As UTC the copy there would seem newer than the file that was changed an hour ago.
    edited = NOON + HOUR
    assert outcome(RemoteFile(5, NOON + 2 * HOUR), "mtime", clock=berlin, mtime=edited) == "changed"
    assert outcome(RemoteFile(5, NOON + 2 * HOUR), "mtime", mtime=edited) == "unchanged"


def test_pairs_are_of_files_of_the_same_size_with_a_time_there() -> None:
    directory = FoundDirectory("css", tuple(found(name) for name in ("a", "b", "c", "d")))
    there = {
        "a": RemoteFile(5, NOON + HOUR),
        "b": RemoteFile(6, NOON + HOUR),
        "c": RemoteFile(5, None),
        "e": RemoteFile(5, NOON),
    }
    assert list(times_of_pairs(directory, there)) == [(NOON, NOON + HOUR)]


offsets = st.integers(-FARTHEST_SECONDS // STEP_SECONDS, FARTHEST_SECONDS // STEP_SECONDS).map(
    lambda steps: steps * STEP_SECONDS
)
local_times = st.lists(
    st.integers(0, 2_000_000_000), min_size=FEWEST_PAIRS, max_size=30, unique=True
)


@given(offsets, local_times, st.sampled_from([1, 60]))
@example(20_700, [10, 20, 30], 1)
def test_an_offset_that_all_pairs_show_is_learned(
    offset: int, times: list[int], precision: int
) -> None:
    """LIST cuts times to minutes: the zone's offset is whole minutes, so it is cut the same way."""
    pairs = [(local, (local + offset) // precision * precision) for local in times]
    assert learn_offset(pairs, precision) == offset


@given(offsets, local_times)
def test_files_that_were_changed_since_do_not_hide_the_offset(
    offset: int, times: list[int]
) -> None:
    kept = [(local, local + offset) for local in times]
    changed = [(local + 7, local + offset) for local in times[: len(times) // 2]]
    assert learn_offset(kept + changed) == offset


def test_no_offset_is_learned_where_pairs_disagree() -> None:
    one_zone = [(NOON + n, NOON + n + HOUR) for n in range(5)]
    other_zone = [(NOON - n, NOON - n + 2 * HOUR) for n in range(1, 4)]
    assert learn_offset(one_zone) == HOUR
    assert learn_offset(one_zone + other_zone) == 0


def test_no_offset_is_learned_from_too_few_pairs() -> None:
    pairs = [(NOON + n, NOON + n + HOUR) for n in range(FEWEST_PAIRS)]
    assert learn_offset(pairs) == HOUR
    assert learn_offset(pairs[:-1]) == 0
    assert learn_offset([]) == 0


def test_a_server_that_sets_the_time_of_arrival_is_in_no_time_zone() -> None:
    """Checked out in one second and sent in another one, by chance two hours later."""
    assert learn_offset([(NOON, NOON + 2 * HOUR)] * 500) == 0
    arrived = [(NOON - 1000 * n, NOON + 2 * HOUR + n // 10) for n in range(500)]
    assert learn_offset(arrived) == 0


@pytest.mark.parametrize("offset", [FARTHEST_SECONDS + STEP_SECONDS, -15 * HOUR, 24 * HOUR, 600])
def test_what_is_no_time_zone_is_not_learned(offset: int) -> None:
    assert learn_offset([(NOON + n, NOON + n + offset) for n in range(20)]) == 0


def test_nothing_is_learned_from_days() -> None:
    pairs = [(NOON + n * HOUR, NOON + (n + 2) * HOUR) for n in range(20)]
    assert learn_offset(pairs, 60) == 2 * HOUR
    assert learn_offset(pairs, 86_400) == 0


# -- digests of local files ----------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["sha256", "sha512", "sha1", "md5"])
def test_a_local_file_is_hashed_with_the_servers_algorithm(
    tmp_path: Path, algorithm: Algorithm
) -> None:
    content = os.urandom(700_000)
    (tmp_path / "a").write_bytes(content)
    expected = ContentDigest(algorithm, hashlib.new(algorithm, content).hexdigest())
    assert local_digest(FoundFile("a", str(tmp_path / "a"), 700_000, 0), algorithm) == expected


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_a_local_file_that_is_no_longer_one_has_no_digest(
    tmp_path: Path, algorithm: Algorithm
) -> None:
    with pytest.raises(SourceUnreadable):
        local_digest(FoundFile("a", str(tmp_path / "a"), 1, 0), algorithm)
    (tmp_path / "a").symlink_to("/etc/hostname")
    with pytest.raises(SourceChanged):
        local_digest(FoundFile("a", str(tmp_path / "a"), 1, 0), algorithm)


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_a_local_file_that_grows_while_it_is_read_has_no_digest(algorithm: Algorithm) -> None:
    """The kernel tells of a file in /proc that it is empty, and more comes when it is read."""
    with pytest.raises(SourceChanged, match="changed while it was read"):
        local_digest(FoundFile("a", "/proc/self/status", 0, 0), algorithm)
