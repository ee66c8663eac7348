"""How manifest and journal are written: gzipped JSON lines that end with their own checksum."""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Iterable

from siteferry.errors import DocumentDamaged

LARGEST_BYTES = 512 * 1024 * 1024
"""Decompressed; a server could send back anything."""


def pack(records: Iterable[object]) -> bytes:
    """Write one JSON value a line, then a line with the SHA-256 of all before it. Deterministic."""
    body = "".join(json.dumps(r, separators=(",", ":"), ensure_ascii=False) + "\n" for r in records)
    raw = body.encode()
    seal = json.dumps({"sha256": hashlib.sha256(raw).hexdigest()}).encode() + b"\n"
    return gzip.compress(raw + seal, compresslevel=1, mtime=0)


def unpack(data: bytes, what: str) -> list[object]:
    """Read back what `pack` wrote.

    Args:
        what: the document's name for messages: "the manifest".

    Raises:
        DocumentDamaged: it is cut short, changed, or no such document.
    """
    raw = _decompress(data, what)
    body, _, seal = raw.rstrip(b"\n").rpartition(b"\n")
    body += b"\n"
    try:
        sealed = json.loads(seal)
        if sealed != {"sha256": hashlib.sha256(body).hexdigest()}:
            raise DocumentDamaged(f"{what} on the server has a wrong checksum")
        return [json.loads(line) for line in body.splitlines()]
    except (ValueError, RecursionError) as error:
        raise DocumentDamaged(f"{what} on the server cannot be read") from error


def _decompress(data: bytes, what: str) -> bytes:
    unzip = zlib.decompressobj(wbits=31)
    try:
        raw = unzip.decompress(data, LARGEST_BYTES)
    except zlib.error as error:
        raise DocumentDamaged(f"{what} on the server cannot be read: {error}") from error
    if not unzip.eof or unzip.unused_data:
        raise DocumentDamaged(f"{what} on the server is cut short or too large")
    return raw
