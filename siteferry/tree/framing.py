"""How manifest and journal are written: gzipped JSON lines that end with their own checksum.

They are written and read a line at a time: the document of 100,000 files is 12 MiB of text, and a
copy or two of it would be most of what a worker needs.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from siteferry.errors import DocumentDamaged

LARGEST_BYTES = 512 * 1024 * 1024
"""Decompressed; a server could send back anything."""

_GZIP = 31
"""zlib's `wbits` for a gzip header and trailer; it writes no time and no name into them."""
_ROWS_AT_ONCE = 1000
_CHUNK_BYTES = 64 * 1024


def pack(records: Iterable[object]) -> bytes:
    """Write one JSON value a line, then a line with the SHA-256 of all before it. Deterministic.

    An iterator among the records is written as the array of what it gives, and is not gathered.
    """
    sha256, gzip, packed = hashlib.sha256(), zlib.compressobj(level=1, wbits=_GZIP), bytearray()
    for record in records:
        for text in _texts(record):
            sha256.update(text)
            packed += gzip.compress(text)
    packed += gzip.compress(json.dumps({"sha256": sha256.hexdigest()}).encode() + b"\n")
    packed += gzip.flush()
    return bytes(packed)


def _texts(record: object) -> Iterator[bytes]:
    """One line, in pieces."""
    if not isinstance(record, Iterator):
        yield _dump(record) + b"\n"
        return
    opening = b"["
    while rows := list(islice(record, _ROWS_AT_ONCE)):
        yield opening + _dump(rows)[1:-1]
        opening = b","
    yield b"]\n" if opening == b"," else b"[]\n"


def _dump(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def unpack(data: bytes, what: str) -> Iterator[Any]:
    """Read back what `pack` wrote, a record at a time; none is given before the checksum of all of
    them was found right.

    Args:
        what: the document's name for messages: "the manifest".

    Raises:
        DocumentDamaged: it is cut short, changed, or no such document.
    """
    try:
        for line in islice(_lines(data, what), _sealed_lines(data, what)):
            yield json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DocumentDamaged(f"{what} on the server cannot be read") from error


def _sealed_lines(data: bytes, what: str) -> int:
    """How many lines stand before the checksum, which is that of them."""
    sha256, count, last = hashlib.sha256(), -1, b""
    for line in _lines(data, what):
        sha256.update(last)
        last = line
        count += 1
    if json.loads(last) != {"sha256": sha256.hexdigest()}:
        raise DocumentDamaged(f"{what} on the server has a wrong checksum")
    return count


def _lines(data: bytes, what: str) -> Iterator[bytes]:
    """Each with its line break, without which the last one is cut short."""
    pieces: list[bytes] = []
    for chunk in _decompressed(data, what):
        *ends, beginning = chunk.split(b"\n")
        for end in ends:
            pieces += (end, b"\n")
            yield _taken(pieces)
        pieces.append(beginning)
    if any(pieces):
        raise DocumentDamaged(f"{what} on the server is cut short")


def _taken(pieces: list[bytes]) -> bytes:
    """All of them as one; a line may be most of the document, so they are not kept beside it."""
    line = b"".join(pieces)
    pieces.clear()
    return line


def _decompressed(data: bytes, what: str) -> Iterator[bytes]:
    gzip, left_bytes = zlib.decompressobj(wbits=_GZIP), LARGEST_BYTES
    for start in range(0, len(data), _CHUNK_BYTES):
        if gzip.eof:
            raise DocumentDamaged(f"{what} on the server goes on behind its end")
        waiting = data[start : start + _CHUNK_BYTES]
        try:
            # It may hold some back when all that it was given is used up.
            while (chunk := gzip.decompress(waiting, _CHUNK_BYTES)) or gzip.unconsumed_tail:
                waiting = gzip.unconsumed_tail
                left_bytes -= len(chunk)
                if left_bytes < 0:
                    raise DocumentDamaged(f"{what} on the server is too large")
                yield chunk
        except zlib.error as error:
            raise DocumentDamaged(f"{what} on the server cannot be read: {error}") from error
    if not gzip.eof or gzip.unused_data:
        raise DocumentDamaged(f"{what} on the server is cut short, or goes on behind its end")
