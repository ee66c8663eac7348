"""The frame of manifest and journal: the same bytes whatever the pieces, and bounded in memory."""

from __future__ import annotations

import gzip
import hashlib
import json
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siteferry.errors import DocumentDamaged
from siteferry.tree import framing
from siteferry.tree.framing import pack, unpack

MIB = 1024 * 1024

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=("Cs",))),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("aé\n"), inner),
    max_leaves=5,
)


def seal_of(body: bytes) -> bytes:
    return json.dumps({"sha256": hashlib.sha256(body).hexdigest()}).encode() + b"\n"


def sealed(*lines: bytes) -> bytes:
    """A document with a good checksum of lines that `pack` would not write."""
    body = b"".join(line + b"\n" for line in lines)
    return gzip.compress(body + seal_of(body))


def peak_bytes(action: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@settings(deadline=None)  # a loaded machine is no failure
@given(st.lists(values, max_size=6))
def test_records_come_back_as_they_were(records: list[object]) -> None:
    assert list(unpack(pack(records), "x")) == records


@settings(deadline=None)  # a loaded machine is no failure
@given(st.lists(st.lists(values, max_size=4), max_size=4))
def test_rows_from_an_iterator_are_written_as_their_list(records: list[list[object]]) -> None:
    assert pack(map(iter, records)) == pack(records)


@pytest.mark.parametrize("count", [999, 1000, 1001, 2000])
def test_rows_in_several_slices_are_one_array(count: int) -> None:
    rows = [[f"name-{n}", n] for n in range(count)]
    assert gzip.decompress(pack([iter(rows)])) == gzip.decompress(pack([rows]))
    assert list(unpack(pack([iter(rows)]), "x")) == [rows]


def test_the_text_is_that_of_the_first_version() -> None:
    """What an older siteferry wrote is read, and it reads what this one writes."""
    records = [{"a": "é\n", "b": [1, None]}, [], iter([["x", 2]])]
    assert gzip.decompress(pack(records)).decode() == (
        '{"a":"é\\n","b":[1,null]}\n[]\n[["x",2]]\n'
        '{"sha256": "e5a78374f98f8906ce2d7976e03c8fd4f1edf8f1dc17fbd198e16fb912ebaa76"}\n'
    )


@pytest.mark.parametrize("length", [65_535, 65_536, 65_537, 200_000])
def test_a_line_longer_than_what_is_unpacked_at_once_is_one_record(length: int) -> None:
    records = ["a" * length, "b", "\n\r" * length]
    assert list(unpack(pack(records), "x")) == records


def test_what_zlib_holds_back_for_a_while_is_not_lost() -> None:
    """Few compressed bytes stand for many, so the input ends long before the output does."""
    assert list(unpack(pack(["a" * 3_000_000]), "x")) == ["a" * 3_000_000]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(gzip.compress(b"{}\n" + seal_of(b"{}\n")[:-1]), id="no line break at the end"),
        pytest.param(gzip.compress(b"{}\n{}\n"), id="no checksum"),
        pytest.param(sealed(b"[" * 100_000), id="deeper than the parser goes"),
        pytest.param(gzip.compress(b"[" * 100_000 + b"\n"), id="a checksum of that kind"),
        pytest.param(pack([]) + pack([]), id="two documents"),
        pytest.param(pack([]) + b"\n", id="a byte behind it"),
        pytest.param(pack([]) + b"\n" * 200_000, id="much behind it"),
        pytest.param(pack(["a"])[:-1], id="a byte less"),
    ],
)
def test_what_pack_never_writes_is_damage(data: bytes) -> None:
    with pytest.raises(DocumentDamaged):
        list(unpack(data, "x"))


def test_nothing_is_given_before_the_checksum_was_found_right() -> None:
    raw = gzip.decompress(pack([{"version": 1}, "b" * 1000])).replace(b"1", b"2", 1)
    with pytest.raises(DocumentDamaged, match="wrong checksum"):
        next(unpack(gzip.compress(raw), "the manifest"))


def test_a_document_that_unpacks_beyond_the_limit_is_refused_before_it_is_held(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(framing, "LARGEST_BYTES", 2 * MIB)
    lines = gzip.compress(b"[]\n" * (32 * MIB // 3))

    def refuse() -> None:
        with pytest.raises(DocumentDamaged, match="too large"):
            list(unpack(lines, "x"))

    assert peak_bytes(refuse) < 4 * MIB


def test_the_memory_of_writing_and_reading_does_not_grow_with_the_records() -> None:
    def write(count: int) -> bytes:
        return pack(["a" * 1000 for _ in range(2)] for _ in range(count))

    def read(count: int) -> int:
        data = write(count)
        return peak_bytes(lambda: sum(1 for _ in unpack(data, "x")))

    for of in (lambda count: peak_bytes(lambda: write(count)), read):
        few, many = (of(count) for count in (500, 5_000))  # 1 and 10 MB of text
        assert many - few < MIB
