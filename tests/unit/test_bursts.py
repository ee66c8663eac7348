"""What is written at a time: bounds, and lengths that must never be."""

from __future__ import annotations

from itertools import accumulate, pairwise

from hypothesis import given
from hypothesis import strategies as st

from siteferry.ftp.bursts import BURST_COMMANDS, Allowance, windows

lines = st.lists(
    st.builds(
        lambda verb, path: f"{verb} {path}\r\n".encode(),
        st.sampled_from(["RNFR", "RNTO", "MKD", "SIZE", "SITE CHMOD 755"]),
        st.text("ab", min_size=1, max_size=30).map(lambda t: f"/{t}")
        | st.text("ab", min_size=1, max_size=30).map(lambda t: f".ht{t}")
        | st.text("ab", max_size=30),
    ),
    max_size=120,
)


def runs(window: list[bytes]) -> set[int]:
    """The bytes of every run of whole lines."""
    ends = [0, *accumulate(map(len, window))]
    return {end - begin for i, begin in enumerate(ends) for end in ends[i + 1 :]}


def names_the_same(line: bytes, other: bytes) -> bool:
    return other in (line, line.replace(b" /", b" //", 1), line.replace(b" .ht", b" ./.ht", 1))


@given(lines, st.integers(20, 400), st.integers(10, 200))
def test_no_run_of_commands_has_the_length_that_must_never_be(
    lines: list[bytes], most_bytes: int, never: int
) -> None:
    cut = list(windows(lines, Allowance(most_bytes, never)))
    for window in cut:
        # A line that is itself so long stands alone: nothing is behind it.
        assert len(window) == 1 or never not in runs(window)
    written = [line for window in cut for line in window]
    assert len(written) == len(lines)
    assert all(map(names_the_same, lines, written))


@given(lines, st.integers(20, 400))
def test_each_window_keeps_its_bounds_and_takes_what_fits(
    lines: list[bytes], most_bytes: int
) -> None:
    cut = list(windows(lines, Allowance(most_bytes)))
    assert [line for window in cut for line in window] == lines
    for window in cut:
        assert len(window) == 1 or sum(map(len, window)) <= most_bytes
    for window, following in pairwise(cut):
        assert sum(map(len, window)) + len(following[0]) > most_bytes


def test_no_more_than_so_many_commands_are_under_way() -> None:
    cut = list(windows([b"NOOP\r\n"] * (2 * BURST_COMMANDS + 1), Allowance(10**6)))
    assert [len(window) for window in cut] == [BURST_COMMANDS, BURST_COMMANDS, 1]
