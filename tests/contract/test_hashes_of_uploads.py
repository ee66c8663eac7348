"""What an upload has read of a whole file is told, so that nobody need read it again."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from siteferry.errors import SourceChanged
from siteferry.ftp.resume import resume_upload
from siteferry.ftp.sending import Conduct, Part, Stored
from siteferry.ftp.upload import Upload, upload_files
from siteferry.tree.content_hashes import FileState, Key
from siteferry.tree.reading import Digest, hash_file
from siteferry.tree.scan import FoundFile
from tests.servers.base import FtpServer
from tests.servers.sessions import make_file, plant, session_on

CONTENT = bytes(range(256)) * 400


@dataclass
class HashesDouble:
    """Keeps what it is told, also of files that were written just now."""

    known: dict[Key, Digest] = field(default_factory=dict)

    def remember(self, state: FileState, digest: Digest) -> None:
        self.known[state.key] = digest

    def of(self, found: FoundFile) -> Digest | None:
        return self.known.get(FileState.of(Path(found.local).stat(), 0).key)


@pytest.fixture
def found(tmp_path: Path) -> FoundFile:
    return make_file(tmp_path, "a", CONTENT)


def joined(server: FtpServer, path: str) -> str:
    return f"{server.remote_root.rstrip('/')}/{path}"


def test_a_file_that_was_sent_is_known(pyftpd_server: FtpServer, found: FoundFile) -> None:
    hashes = HashesDouble()
    upload = Upload(found, joined(pyftpd_server, "a"))
    with session_on(pyftpd_server) as session:
        list(upload_files(session, [upload], Conduct(remember=hashes.remember)))
    assert hashes.of(found) == hash_file(found)


def test_a_file_that_was_written_while_it_was_sent_is_not(
    pyftpd_server: FtpServer, found: FoundFile
) -> None:
    hashes = HashesDouble()

    def meanwhile(_bytes: int) -> None:
        Path(found.local).write_bytes(CONTENT[::-1])

    conduct = Conduct(moved=meanwhile, remember=hashes.remember)
    with session_on(pyftpd_server) as session:
        upload = Upload(found, joined(pyftpd_server, "a"))
        ((_, outcome),) = upload_files(session, [upload], conduct)
    assert isinstance(outcome, SourceChanged)
    assert hashes.known == {}


def test_a_file_of_which_a_part_was_sent_is_not(pyftpd_server: FtpServer, tmp_path: Path) -> None:
    hashes = HashesDouble()
    found = make_file(tmp_path, "long", CONTENT * 40)
    with session_on(pyftpd_server) as session:
        upload = Upload(found, joined(pyftpd_server, "long"))
        conduct = Conduct(yields=lambda: True, remember=hashes.remember)
        ((_, outcome),) = upload_files(session, [upload], conduct)
    assert isinstance(outcome, Part)
    assert hashes.known == {}


@pytest.mark.parametrize("held", [0, 1000, len(CONTENT)])
def test_a_file_that_was_gone_on_with_is_known(
    pyftpd_server: FtpServer, found: FoundFile, tmp_path: Path, held: int
) -> None:
    """Also where all of it stood already: it was read to see that."""
    hashes = HashesDouble()
    plant(pyftpd_server, "old")
    (pyftpd_server.root / "old").write_bytes(CONTENT[:held])
    proof = hash_file(make_file(tmp_path, "proof", CONTENT[:held])).sha256
    part = Part(joined(pyftpd_server, "old"), len(CONTENT), held, proof)
    with session_on(pyftpd_server) as session:
        upload = Upload(found, joined(pyftpd_server, "new"))
        outcome = resume_upload(session, upload, part, Conduct(remember=hashes.remember))
    assert isinstance(outcome, Stored)
    assert (pyftpd_server.root / "new").read_bytes() == CONTENT
    assert hashes.of(found) == hash_file(found)
