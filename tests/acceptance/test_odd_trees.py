"""Trees that are not as tidy as an example: odd names, links, changed kinds, foreign files.

Each is carried by the real command, its private Redis and its worker.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import unicodedata
from pathlib import Path

import pytest

from tests.conftest import Servers
from tests.installation import (
    BASE_NAME,
    Installation,
    Outcome,
    left_over,
    put_on_server,
    tree_of,
    write_tree,
)
from tests.servers.base import FtpServer

NFC = unicodedata.normalize("NFC", "Žaliūkės")
NFD = unicodedata.normalize("NFD", "Žaliūkės")
DEEP = "/".join(f"level-{number:02}" for number in range(60))

ODD_NAMES: dict[str, str | bytes] = {
    "empty.txt": b"",
    "empty directory/": "",
    "nested/empty/": "",
    "with space.html": "space",
    "two  spaces/in  a/row.html": "spaces",
    " leading space.txt": "leading",
    "it's.html": "apostrophe",
    'she said "no".html': "quotes",
    "hash#mark.html": "hash",
    "100%.html": "percent",
    "%41.html": "never decoded",
    "a+b&c=d;e,f.html": "signs",
    "$HOME `id` $(id) | x > y < z.html": "shell",
    "*.html": "star",
    "what?.html": "question",
    "[set]{a,b}.html": "brackets",
    "~tilde": "tilde",
    "~root/page.html": "tilde",
    "name: with colon": "colon",
    "-dash.html": "dash",
    "-R": "an option",
    "--delete/-a": "options",
    ".hidden": "dot",
    ".htaccess": "Options -Indexes\n",
    ".well-known/x": "dot",
    "..two dots": "dots",
    ".../...": "dots only",
    f"nfc {NFC}.html": "one form",
    f"nfd {NFD}.html": "the other",
    f"both/{NFC}": "composed",
    f"both/{NFD}": "decomposed",
    "日本語/🚢 ferry.txt": "beyond the basic plane",
    f"{DEEP}/bottom.html": "deep",
    "x" * 255: "the longest name",
}
NOT_ON_PURE_FTPD: dict[str, str | bytes] = {
    "trailing space ": "trailing",
    "directory /page.html": "trailing",
    "back\\slash.html": "backslash",
}
"""Pure-FTPd writes `_` for spaces at a name's end, and prohibits the backslash."""


def import_example(installation: Installation) -> Outcome:
    """Import, quietly, with the report as JSON."""
    return installation.run("import", "example", "--json", "--quiet")


def stats_of(outcome: Outcome) -> tuple[int, int, int]:
    """Uploaded, already up to date, failed."""
    stats = outcome.json["stats"]
    return stats["uploaded"], stats["skipped"], stats["failed"]


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_odd_names_links_and_empty_things_arrive_as_they_are(
    ftp_server: FtpServer, tmp_path: Path
) -> None:
    installation = Installation(tmp_path)
    source = installation.add_site(ftp_server)
    live = ftp_server.root / "public_html"
    names = ODD_NAMES | ({} if ftp_server.kind == "pureftpd" else NOT_ON_PURE_FTPD)
    write_tree(source, names)
    expected = tree_of(source)
    files = len([path for path in names if not path.endswith("/")])

    (source / "link to file").symlink_to("with space.html")
    (source / "link to directory").symlink_to("both")
    expected["link to file"] = digest("space")
    expected["link to directory"] = "directory"
    expected[f"link to directory/{NFC}"] = digest("composed")
    expected[f"link to directory/{NFD}"] = digest("decomposed")
    (source / "dangling").symlink_to("nowhere")
    (source / "itself").symlink_to("itself")
    (source / "nested/up").symlink_to("..")
    os.mkfifo(source / "pipe")

    first = import_example(installation)
    assert first.code == 0, first.output
    assert stats_of(first) == (files + 3, 0, 0)
    assert tree_of(live) == expected
    assert left_over(live) == []
    one_name = "if they are one name on the server, one replaces the other"
    form = f"only in Unicode's form (NFC, NFD): {one_name}"
    assert first.json["warnings"] == [
        "dangling is a symbolic link to nowhere (nowhere): skipped",
        "itself is a symbolic link that leads back to itself: skipped",
        "nested/up is a link to a directory that it lies in: skipped",
        "pipe is a FIFO: skipped",
        f"both/{NFC} differs from both/{NFD} {form}",
        f"link to directory/{NFC} differs from link to directory/{NFD} {form}",
    ]

    again = import_example(installation)
    assert (again.code, stats_of(again)) == (0, (0, files + 3, 0)), again.output
    assert tree_of(live) == expected


@pytest.mark.parametrize("name", NOT_ON_PURE_FTPD)
def test_a_name_that_the_server_cannot_hold_is_a_failure_and_nothing_is_published(
    name: str, servers: Servers, tmp_path: Path
) -> None:
    server = servers.shared("pureftpd", tls=False).fresh()
    installation = Installation(tmp_path)
    write_tree(installation.add_site(server), {"index.html": "home", name: "odd"})
    refused = import_example(installation)
    assert refused.code == 1, refused.output
    (failure,) = refused.json["failures"]
    assert failure["path"] == name.partition("/")[0]
    assert "Pure-FTPd holds no" in failure["error"]
    assert refused.json["stats"]["uploaded"] == 0
    assert tree_of(server.root / "public_html") == {}
    assert not (server.root / "public_html").exists(), "found before anything was sent"


def test_a_file_that_became_a_directory_and_the_reverse_replace_each_other(
    ftp_server: FtpServer, tmp_path: Path
) -> None:
    """What siteferry itself published makes way; what others put beside it stays."""
    installation = Installation(tmp_path)
    source = installation.add_site(ftp_server)
    live = ftp_server.root / "public_html"
    write_tree(
        source,
        {
            "index.html": "the same in both",
            "news": "a file",
            "deep/down/here": "a file",
            "shop/index.html": "in a directory",
            "shop/items/one.html": "further down",
            "empty/": "",
        },
    )
    assert import_example(installation).code == 0
    put_on_server(ftp_server, {"uploads/photo.jpg": "a visitor's", "deep/notes": "an editor's"})

    shutil.rmtree(source)
    write_tree(
        source,
        {
            "index.html": "the same in both",
            "news/2024/first.html": "in a directory",
            "deep/down/here/": "",
            "shop": "a file",
            "empty": "a file",
        },
    )
    changed = import_example(installation)
    assert (changed.code, stats_of(changed)) == (0, (3, 1, 0)), changed.output
    expected = tree_of(source) | {
        "uploads": "directory",
        "uploads/photo.jpg": digest("a visitor's"),
        "deep/notes": digest("an editor's"),
    }
    assert tree_of(live) == expected
    assert left_over(live) == []

    again = import_example(installation)
    assert (again.code, stats_of(again)) == (0, (0, 4, 0)), again.output
    assert tree_of(live) == expected


def test_foreign_things_in_the_way_are_left_alone_and_nothing_is_published(
    ftp_server: FtpServer, tmp_path: Path
) -> None:
    """A file where a directory must go, a full directory where a file must go: both are told, and
    once they have been moved away the same import succeeds."""
    installation = Installation(tmp_path)
    source = installation.add_site(ftp_server)
    live = ftp_server.root / "public_html"
    put_on_server(
        ftp_server,
        {
            "index.html": "the host's greeting",
            "blog": "a foreign file",
            "about/inner/foreign.txt": "foreign content",
            "uploads/photo.jpg": "a visitor's",
        },
    )
    before = tree_of(live)
    write_tree(
        source,
        {"index.html": "ours", "blog/post.html": "post", "about": "a file", "free/x.html": "x"},
    )
    refused = import_example(installation)
    assert refused.code == 1, refused.output
    assert refused.json["state"] == "incomplete"
    failures = {failure["path"]: failure["error"] for failure in refused.json["failures"]}
    assert failures.keys() == {"blog/post.html", "about"}
    assert "a file that siteferry did not publish stands at blog" in failures["blog/post.html"]
    assert "about/inner/foreign.txt" in failures["about"]
    for error in failures.values():
        assert "Move it away on the server, then run the same import again" in error
    assert tree_of(live) == before

    (live / "blog").rename(ftp_server.root / "blog.moved")
    (live / "about").rename(ftp_server.root / "about.moved")
    done = import_example(installation)
    assert done.code == 0, done.output
    expected = tree_of(source) | {
        "uploads": "directory",
        "uploads/photo.jpg": digest("a visitor's"),
    }
    assert tree_of(live) == expected
    assert left_over(live) == []

    again = import_example(installation)
    assert (again.code, stats_of(again)) == (0, (0, 4, 0)), again.output
    assert tree_of(live) == expected


def test_a_link_that_leads_out_of_the_source_is_refused_and_nothing_is_published(
    pyftpd_server: FtpServer, tmp_path: Path
) -> None:
    installation = Installation(tmp_path)
    source = installation.add_site(pyftpd_server)
    write_tree(source, {"index.html": "ours", "sub/page.html": "page"})
    write_tree(source.parent, {"private/key.pem": "PRIVATE KEY", "notes.txt": "PRIVATE NOTE"})
    (source / "key.pem").symlink_to("../private/key.pem")
    (source / "sub/folder").symlink_to(source.parent / "private")
    # A link to a link inside: each step is harmless to look at, where it ends is not.
    (source / "inside").symlink_to("outside")
    (source / "outside").symlink_to("../notes.txt")

    refused = import_example(installation)
    assert refused.code == 1, refused.output
    assert refused.json["state"] == "incomplete"
    failures = {failure["path"]: failure["error"] for failure in refused.json["failures"]}
    assert failures.keys() == {"key.pem", "sub/folder", "inside", "outside"}
    for error in failures.values():
        assert "leads out of the source" in error
        assert "Put what it points to into the source, or exclude the link" in error
    assert tree_of(pyftpd_server.root / "public_html") == {}
    on_server = [path.read_bytes() for path in pyftpd_server.root.rglob("*") if path.is_file()]
    assert not any(b"PRIVATE" in content for content in on_server)

    for link in ("key.pem", "sub/folder", "inside", "outside"):
        (source / link).unlink()
    done = import_example(installation)
    assert done.code == 0, done.output
    assert tree_of(pyftpd_server.root / "public_html") == tree_of(source)


def test_a_name_with_a_line_break_is_a_failure_shown_escaped(
    pyftpd_server: FtpServer, tmp_path: Path
) -> None:
    """A line break would end the FTP command, and begin a line of its own in the report."""
    installation = Installation(tmp_path)
    source = installation.add_site(pyftpd_server)
    write_tree(source, {"index.html": "ours", "bad\nDELE index.html": "evil", "worse\r/x": "evil"})
    refused = installation.run("import", "example")
    assert refused.code == 1, refused.output
    assert "failed: bad\\nDELE index.html: " in refused.stdout
    assert "failed: worse\\r: " in refused.stdout
    assert "FTP cannot carry a name with a line break" in refused.stdout
    assert "Rename it, or exclude it." in refused.stdout
    assert not any(line.startswith("DELE") for line in refused.output.splitlines())
    assert tree_of(pyftpd_server.root / "public_html") == {}


def published(server: FtpServer, folder: Path) -> tuple[Installation, Path]:
    """An installation whose site is published, and its source."""
    installation = Installation(folder)
    source = installation.add_site(server)
    write_tree(
        source,
        {"index.html": "home", "css/site.css": "a { }", "css/empty.css": "", "page.html": "page"},
    )
    first = import_example(installation)
    assert (first.code, stats_of(first)) == (0, (4, 0, 0)), first.output
    return installation, source


def test_new_modification_times_alone_send_nothing(
    pyftpd_server: FtpServer, tmp_path: Path
) -> None:
    installation, source = published(pyftpd_server, tmp_path)
    for path in source.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    second = import_example(installation)
    assert (second.code, stats_of(second)) == (0, (0, 4, 0)), second.output


def test_a_forgotten_ledger_sends_nothing(pyftpd_server: FtpServer, tmp_path: Path) -> None:
    """The server's manifest suffices."""
    installation, _ = published(pyftpd_server, tmp_path)
    installation.forget_everything()
    second = import_example(installation)
    assert (second.code, stats_of(second)) == (0, (0, 4, 0)), second.output


def test_one_changed_byte_of_the_same_size_and_time_sends_one_file(
    pyftpd_server: FtpServer, tmp_path: Path
) -> None:
    installation, source = published(pyftpd_server, tmp_path)
    page = source / "page.html"
    times = page.stat()
    page.write_text("pale")
    os.utime(page, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert page.stat().st_size == times.st_size
    second = import_example(installation)
    assert (second.code, stats_of(second)) == (0, (1, 3, 0)), second.output
    assert tree_of(pyftpd_server.root / "public_html") == tree_of(source)
    assert left_over(pyftpd_server.root / "public_html") == []


def test_a_damaged_manifest_is_replaced_by_the_listing_with_a_warning(
    pyftpd_server: FtpServer, tmp_path: Path
) -> None:
    """One flipped bit is enough; the next manifest is whole."""
    installation, source = published(pyftpd_server, tmp_path)
    live = pyftpd_server.root / "public_html"
    manifest = live / BASE_NAME / ".htmanifest"
    content = bytearray(manifest.read_bytes())
    content[len(content) // 2] ^= 1
    manifest.write_bytes(content)

    second = import_example(installation)
    assert (second.code, stats_of(second)) == (0, (0, 4, 0)), second.output
    (warning,) = second.json["warnings"]
    assert ".htmanifest" in warning or "manifest" in warning
    assert "compared with the server's listing" in warning
    assert tree_of(live) == tree_of(source)
    assert left_over(live) == []

    third = import_example(installation)
    assert (third.code, stats_of(third)) == (0, (0, 4, 0)), third.output
    assert third.json["warnings"] == []
