"""Digests of whole files under an algorithm that is chosen for the other side's sake."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

from siteferry.tree.found import FoundFile
from siteferry.tree.reading import open_source

Algorithm = Literal["sha256", "sha512", "sha1", "md5"]
"""As hashlib names them. SHA-1 and MD5 are here to notice change, not to keep off an enemy: the
server that tells the digest could tell any. CRC-32 is not: different files share it too easily."""

_CHUNK_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class ContentDigest:
    """The digest (lower-case hex) of all the bytes of one file; equal where the content is."""

    algorithm: Algorithm
    value: str


def local_digest(found: FoundFile, algorithm: Algorithm) -> ContentDigest:
    """Read a found file to its end for its digest under `algorithm`.

    Raises:
        SourceUnreadable, SourceChanged: as for `open_source` and `SourceReader`.
    """
    with open_source(found) as reader:
        if algorithm == "sha256":
            # The reader makes this one anyway.
            for _ in reader.read_chunks(_CHUNK_BYTES):
                pass
            return ContentDigest(algorithm, reader.finish().sha256)
        state = hashlib.new(algorithm, usedforsecurity=False)
        for chunk in reader.read_chunks(_CHUNK_BYTES):
            state.update(chunk)
        reader.finish()
        return ContentDigest(algorithm, state.hexdigest())
