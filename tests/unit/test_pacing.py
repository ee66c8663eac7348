"""Bytes spread over time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from siteferry.ftp.pacing import Pace


class Clock:
    """Goes on by what is slept, and by what a test adds."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


@given(
    rate=st.floats(1000, 1e9),
    moves=st.lists(st.tuples(st.integers(1, 10**6), st.floats(0, 2)), min_size=1, max_size=50),
)
def test_no_stretch_of_time_carries_more_than_its_share_and_a_quarter_second(
    rate: float, moves: list[tuple[int, float]]
) -> None:
    """`moves`: bytes, and the seconds that the network took for them."""
    clock = Clock()
    pace = Pace(rate, clock, clock.sleep)
    begins: list[float] = []
    totals = [0]
    for count, seconds in moves:
        begins.append(clock.now)
        clock.now += seconds
        pace.moved(count)
        totals.append(totals[-1] + count)
        for first, begin in enumerate(begins):
            carried = totals[-1] - totals[first]
            assert carried <= rate * (clock.now - begin + 0.25) * 1.000001 + 1


def test_without_a_rate_nothing_waits() -> None:
    clock = Clock()
    pace = Pace(None, clock, clock.sleep)
    pace.moved(10**12)
    assert clock.now == 1000.0
    assert pace.chunk_bytes(4096) == 4096


def test_a_slow_pace_moves_small_pieces() -> None:
    assert Pace(40_000).chunk_bytes(1_000_000) == 10_000
    assert Pace(10).chunk_bytes(1_000_000) == 1024
    assert Pace(1e9).chunk_bytes(1_000_000) == 1_000_000


def test_an_even_stream_arrives_in_the_time_of_its_rate() -> None:
    clock = Clock()
    pace = Pace(1000, clock, clock.sleep)
    for _ in range(100):
        pace.moved(100)
    assert 9.7 <= clock.now - 1000.0 <= 10.0
