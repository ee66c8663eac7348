"""The manifest: there and back, and nothing but what was written."""

from __future__ import annotations

import gzip
import hashlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siteferry.errors import DocumentDamaged
from siteferry.tree.framing import pack
from siteferry.tree.manifest import (
    FORMAT,
    Entry,
    Manifest,
    by_directory,
    decode,
    decode_part,
    encode,
    encode_part,
)

HASH = hashlib.sha256(b"x").hexdigest()

names = st.text(
    st.characters(exclude_categories=("Cs",), exclude_characters="/\r\n\0"), min_size=1
).filter(lambda name: name not in (".", "..") and name.lower() != ".htsiteferry")
paths = st.lists(names, min_size=1, max_size=4).map("/".join)
entries = st.builds(
    Entry,
    st.integers(0, 2**63),
    st.binary(max_size=8).map(lambda b: hashlib.sha256(b).hexdigest()),
    st.none() | st.integers(-(2**40), 2**40),
)
manifests = st.builds(
    Manifest, st.text(), st.text(), st.frozensets(paths), st.dictionaries(paths, entries)
)

SMALL = Manifest(
    "20260131-154502-9f2c1a",
    "example",
    frozenset({"css", "empty"}),
    {"index.html": Entry(3, HASH, 1_700_000_000), "css/a b.css": Entry(0, HASH, None)},
)


def written(
    line: object = None, files: object = None, path: object = "", **header: object
) -> bytes:
    """A manifest with a good checksum of one line, with this or that of it replaced."""
    sound = {"format": FORMAT, "version": 1, "run": "r", "site": "s", "directories": 1, "files": 1}
    if files is None:
        files = {"a": [1, HASH, None]}
    return pack([{**sound, **header}, line or {"path": path, "files": files}])


@settings(deadline=None)  # a loaded machine is no failure
@given(manifests)
def test_a_manifest_comes_back_as_it_was(manifest: Manifest) -> None:
    assert decode(encode(manifest)) == manifest


@settings(deadline=None)  # a loaded machine is no failure
@given(st.dictionaries(names, entries))
def test_one_directorys_part_comes_back_as_it_was(part: dict[str, Entry]) -> None:
    assert decode_part(encode_part(part)) == part


def test_equal_manifests_are_equal_bytes_in_whatever_order_they_were_made() -> None:
    files = {name: Entry(1, HASH, None) for name in ("a/x", "b/x", "a/y", "z", "c")}
    one, other = (
        Manifest("r", "s", frozenset(), dict(items))
        for items in (files.items(), reversed(files.items()))
    )
    assert encode(one) == encode(other)


def test_directories_are_completed_with_the_root_and_those_above() -> None:
    manifest = Manifest("r", "s", frozenset({"a/b"}), {"c/d/e": Entry(0, HASH, None)})
    assert manifest.directories == {"", "a", "a/b", "c", "c/d"}


def test_parts_are_given_for_empty_directories_too_in_order() -> None:
    assert list(by_directory(SMALL)) == [
        ("", {"index.html": SMALL.files["index.html"]}),
        ("css", {"a b.css": SMALL.files["css/a b.css"]}),
        ("empty", {}),
    ]


def test_the_document_is_a_gzip_of_json_lines_that_ends_with_their_checksum() -> None:
    *body, seal = gzip.decompress(encode(SMALL)).splitlines(keepends=True)
    assert json.loads(body[0])["files"] == 2
    assert json.loads(body[1]) == {"path": "", "files": {"index.html": [3, HASH, 1_700_000_000]}}
    assert json.loads(seal) == {"sha256": hashlib.sha256(b"".join(body)).hexdigest()}


def test_the_text_is_that_of_the_first_siteferry() -> None:
    """Older and newer ones read each other's: the line of a directory, its order, its spacing."""
    x = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    assert gzip.decompress(encode(SMALL)).decode() == (
        '{"format":"siteferry-manifest","version":1,"run":"20260131-154502-9f2c1a",'
        '"site":"example","directories":3,"files":2}\n'
        f'{{"path":"","files":{{"index.html":[3,"{x}",1700000000]}}}}\n'
        f'{{"path":"css","files":{{"a b.css":[0,"{x}",null]}}}}\n'
        '{"path":"empty","files":{}}\n'
        '{"sha256": "18482b3a2bcb3b48d6f17c1e9675d7b8113528d82fbccfdc85ec9e1d69fd2027"}\n'
    )


def test_a_manifest_cut_short_anywhere_is_damaged() -> None:
    data = encode(SMALL)
    for length in range(len(data)):
        with pytest.raises(DocumentDamaged):
            decode(data[:length])


def test_a_manifest_with_something_behind_it_is_damaged() -> None:
    for more in (b"\0", encode(SMALL)):
        with pytest.raises(DocumentDamaged):
            decode(encode(SMALL) + more)


def test_a_flipped_byte_anywhere_in_the_content_is_damage() -> None:
    data = encode(SMALL)
    gzip_header_bytes = 10
    for at in range(gzip_header_bytes, len(data)):
        with pytest.raises(DocumentDamaged):
            decode(data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :])


def test_no_flipped_bit_anywhere_gives_another_manifest() -> None:
    """A few bits carry nothing: the gzip header's time, and the padding of the last byte."""
    data = encode(SMALL)
    for at in range(len(data)):
        for bit in range(8):
            try:
                changed = decode(data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :])
            except DocumentDamaged:
                continue
            assert changed == SMALL, f"byte {at}, bit {bit}"


def test_another_checksum_is_damage_even_in_a_sound_gzip() -> None:
    raw = gzip.decompress(encode(SMALL)).replace(b'"index.html"', b'"index.htm1"')
    with pytest.raises(DocumentDamaged):
        decode(gzip.compress(raw))


def test_a_later_version_is_refused_with_the_next_step() -> None:
    with pytest.raises(DocumentDamaged) as damaged:
        decode(written(version=2))
    assert "version 2" in damaged.value.message
    assert "newer" in damaged.value.next_step


def test_the_frame_of_the_hostile_examples_is_sound() -> None:
    assert decode(written()).files == {"a": Entry(1, HASH, None)}


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"<html>404</html>", id="a web page"),
        pytest.param(gzip.compress(b""), id="an empty gzip"),
        pytest.param(written(format="siteferry-journal"), id="another document"),
        pytest.param(pack(["a"]), id="a header that is no object"),
        pytest.param(written(run=7), id="a run that is no text"),
        pytest.param(written(files={"../x": [1, HASH, None]}), id="a name that leads up"),
        pytest.param(written(files={"b/c": [1, HASH, None]}), id="a name with a slash"),
        pytest.param(written(files={"": [1, HASH, None]}), id="an empty name"),
        pytest.param(written(files={"a\nDELE b": [1, HASH, None]}), id="a name with a line break"),
        pytest.param(written(files={".htsiteferry": [1, HASH, None]}), id="our own name"),
        pytest.param(written(path="../up"), id="a directory that leads up"),
        pytest.param(written(path=3), id="a directory that is no text"),
        pytest.param(written(files={"a": [-1, HASH, None]}), id="a negative size"),
        pytest.param(written(files={"a": [True, HASH, None]}), id="a size that is a bool"),
        pytest.param(written(files={"a": [1.5, HASH, None]}), id="a size that is no integer"),
        pytest.param(written(files={"a": [1, HASH.upper(), None]}), id="a hash in capitals"),
        pytest.param(written(files={"a": [1, HASH + "\n", None]}), id="a hash that goes on"),
        pytest.param(written(files={"a": [1, HASH, "now"]}), id="a time that is text"),
        pytest.param(written(files={"a": [1, HASH]}), id="an entry too short"),
        pytest.param(written(files={"a": {"size": 1}}), id="an entry that is no list"),
        pytest.param(written(files=[]), id="files that are no object"),
        pytest.param(written(files={}), id="fewer files than the header says"),
        pytest.param(written(directories=2), id="fewer directories than the header says"),
        pytest.param(written(line=["x"]), id="a line that is no object"),
        pytest.param(written(line={"path": ""}), id="a line without files"),
    ],
)
def test_what_encode_never_writes_is_damage_though_its_checksum_is_right(data: bytes) -> None:
    with pytest.raises(DocumentDamaged):
        decode(data)


@pytest.mark.parametrize(
    "text", ["", "[]", '{"a":', '{"a/b":[1,"x",null]}', f'{{"..":[1,"{HASH}",null]}}', "null"]
)
def test_a_part_that_was_never_written_is_damage(text: str) -> None:
    with pytest.raises(DocumentDamaged):
        decode_part(text)
