"""Digests of remote files: told by servers that can hash, else of what RETR brings.

HASH is draft-bryan-ftpext-hash-02; its Appendix B lists the older verbs, which nobody has
specified. ProFTPD has all of them with mod_digest (1.3.8); vsftpd, Pure-FTPd and pyftpdlib none.
What a server says may be nonsense: a reply that is not exactly as expected tells nothing.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence

from siteferry.errors import ReplyError, SiteferryError, TransferMismatch
from siteferry.ftp.facts import parse_size
from siteferry.ftp.receive import EndedUnannounced, receive, refused_reading
from siteferry.ftp.replies import Reply
from siteferry.ftp.session import Session
from siteferry.ftp.transfer import BROKEN_OFF, open_transfer
from siteferry.tree.content_digest import Algorithm, ContentDigest
from siteferry.tree.paths import shown

_SURPLUS_BYTES = 256 * 1024
"""Of a file that has grown, so much more is read for the session's sake; then it is given up."""
_HASH_NAMES: Mapping[str, Algorithm] = {
    "SHA-256": "sha256",
    "SHA-512": "sha512",
    "SHA-1": "sha1",
    "MD5": "md5",
}
"""What HASH calls them (draft, section 3; IANA's names), the best first."""
_VERBS: Mapping[str, Algorithm] = {
    "XSHA256": "sha256",
    "XSHA512": "sha512",
    "XSHA1": "sha1",
    "XSHA": "sha1",
    "XMD5": "md5",
    "MD5": "md5",
}
"""The older verbs, the best first. MD5 has a draft of its own (draft-twine-ftpmd5): the rest of its
line is the path, and its answer is a 251."""
_TELLING = (213, 250, 251)
# "213 SHA-256 0-7 cd6c... /a b.txt". The range begins at 0, or it is not of the whole file.
_BY_HASH = re.compile(r"213 (?P<name>[A-Za-z0-9-]+) 0-[0-9]+ (?P<digest>[0-9A-Fa-f]+) (?P<path>.+)")


def remote_digests(session: Session, paths: Sequence[str]) -> dict[str, ContentDigest | None]:
    """Ask the server for the digests of files, in bursts; nothing is asked of one that has no way.

    The best of SHA-256, SHA-512, SHA-1 and MD5 that it has is used, and stands in each digest.

    Args:
        session: a session in sync, and it is so afterwards. Each file must be hashed within the
            endpoint's `control_seconds`.
        paths: absolute remote paths.

    Returns:
        Each path with its digest; None where the server refuses, makes no sense, or has no way.

    Raises:
        PathRefused: a path cannot be sent; nothing was sent.
        SessionLost: the session is suspect.
    """
    if not paths:
        return {}
    features = session.profile.features
    if "HASH" in features and (name := _offered(session)):
        return _by_hash(session, paths, name)
    for verb, algorithm in _VERBS.items():
        if verb in features:
            return _by_verb(session, paths, verb, algorithm)
    return dict.fromkeys(paths)


def download_digest(session: Session, path: str, size: int | None = None) -> ContentDigest:
    """Read a remote file to its end for its SHA-256; nothing is stored, and a piece at a time is in
    memory.

    Args:
        path: absolute remote path.
        size: bytes as a listing has told them; None: the server is asked, in the same round trip.

    Raises:
        TransferMismatch: less or more came than it should have; where very much more, the session
            is lost.
        SiteferryError: the file cannot be read; SessionLost: the session is suspect.
    """
    doing = f"reading {shown(path)}"
    asking = [f"SIZE {path}"] if size is None else []
    opening = open_transfer(session, "RETR", path, doing, asking, confirmed=True)
    if opening.refusal:
        raise refused_reading(opening.refusal)
    for reply in opening.prelude:
        size = parse_size(reply.text[4:].strip()) if reply.code == 213 else None
    state = hashlib.sha256()
    count = 0

    def take(chunk: memoryview) -> None:
        nonlocal count
        state.update(chunk)
        count += len(chunk)
        if size is not None and count > size + _SURPLUS_BYTES:
            raise TransferMismatch(f"{doing}: more comes than the {size} bytes that it has")

    ending = receive(session, opening.connection(), doing, take)
    if isinstance(ending, SiteferryError) and not (_perhaps_whole(ending) and count == size):
        raise ending
    if size is not None and count != size:
        raise TransferMismatch(f"{doing}: {count} bytes have come, it should be {size}")
    return ContentDigest("sha256", state.hexdigest())


def _perhaps_whole(refusal: SiteferryError) -> bool:
    if isinstance(refusal, EndedUnannounced):
        return True
    return isinstance(refusal, ReplyError) and refusal.code in BROKEN_OFF


def _offered(session: Session) -> str | None:
    """The best algorithm in FEAT's line `HASH CRC32;MD5;SHA-1*;SHA-256;` (draft, section 3.1)."""
    offered: set[str] = set()
    for line in session.burst(["FEAT"])[0].lines[1:-1]:
        verb, _, names = line.strip().partition(" ")
        if verb.upper() == "HASH":
            offered = {name.strip().rstrip("*").upper() for name in names.split(";")}
    return next((name for name in _HASH_NAMES if name in offered), None)


def _by_hash(session: Session, paths: Sequence[str], name: str) -> dict[str, ContentDigest | None]:
    # Chosen each time: it is the session's, and another user of the session may have chosen. A
    # refusal is no matter, for each reply names the algorithm.
    _, *replies = session.burst([f"OPTS HASH {name}", *(f"HASH {path}" for path in paths)])
    told: dict[str, ContentDigest | None] = {}
    for path, reply in zip(paths, replies, strict=True):
        found = _BY_HASH.fullmatch(reply.text)
        algorithm = _HASH_NAMES.get(found["name"].upper()) if found else None
        told[path] = None
        if found and algorithm and _last(found["path"]) == _name_in_replies(session, path):
            told[path] = _digest(algorithm, found["digest"])
    return told


def _by_verb(
    session: Session, paths: Sequence[str], verb: str, algorithm: Algorithm
) -> dict[str, ContentDigest | None]:
    told: dict[str, ContentDigest | None] = dict.fromkeys(paths)
    arguments = {path: argument for path in told if (argument := _argument(verb, path))}
    replies = session.burst([f"{verb} {argument}" for argument in arguments.values()])
    for path, reply in zip(arguments, replies, strict=True):
        told[path] = _told_by_verb(reply, verb, algorithm, _name_in_replies(session, path))
    return told


def _argument(verb: str, path: str) -> str | None:
    """`path` as `verb` takes it; None where that is each server's own affair."""
    if verb == "MD5" or " " not in path:
        return path
    # Unquoted, what stands behind a space is a range to hash, or a parameter too many (ProFTPD).
    return None if '"' in path else f'"{path}"'


def _told_by_verb(reply: Reply, verb: str, algorithm: Algorithm, name: str) -> ContentDigest | None:
    """`250 DIGEST`; the verb or the path may stand before the digest, and nothing else."""
    if reply.code not in _TELLING:
        return None
    before, _, digest = reply.text[4:].strip().rpartition(" ")
    if before and before.upper() != verb and _last(before.strip('"')) != name:
        return None
    return _digest(algorithm, digest)


def _digest(algorithm: Algorithm, text: str) -> ContentDigest | None:
    length = 2 * hashlib.new(algorithm, usedforsecurity=False).digest_size
    if not re.fullmatch(f"[0-9A-Fa-f]{{{length}}}", text):
        return None
    return ContentDigest(algorithm, text.lower())


def _last(path: str) -> str:
    return path.rpartition("/")[2]


def _name_in_replies(session: Session, path: str) -> str:
    """The last segment of `path` as a reply would tell it (see `ControlChannel`)."""
    raw = _last(path).encode(session.encoding, "surrogateescape")
    return raw.decode(session.encoding, "backslashreplace")
