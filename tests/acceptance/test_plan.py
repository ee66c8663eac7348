"""`plan`, `--dry-run`, `import --plan`: looked at first, then carried out exactly or not at all."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.installation import Installation, Outcome, tree_of, write_tree
from tests.servers.base import FtpServer
from tests.servers.proxy import FtpProxy

FILES = {f"page-{n}.html": f"page {n}" for n in range(12)} | {"blog/post.html": "post"}
READING = {
    "USER", "PASS", "FEAT", "OPTS", "TYPE", "SYST", "PWD", "CWD", "SIZE", "EPSV", "PASV", "RETR",
    "MLST", "MLSD", "LIST", "MDTM", "NOOP", "QUIT",
}  # fmt: skip


@pytest.fixture
def proxy(ftp_server: FtpServer) -> FtpProxy:
    with FtpProxy.in_front_of(ftp_server) as proxy:
        yield proxy  # type: ignore[misc]


class Site:
    def __init__(self, folder: Path, server: FtpServer, port: int) -> None:
        self.installation = Installation(folder)
        self.source = self.installation.add_site(server.through(port))
        self.live = server.root / "public_html"
        write_tree(self.source, FILES)

    def run(self, *arguments: str) -> Outcome:
        return self.installation.run(*arguments)

    def change(self) -> None:
        """One file of each kind."""
        (self.source / "page-1.html").write_text("page 1, changed")
        (self.source / "page-2.html").unlink()
        write_tree(self.source, {"new/page.html": "new"})


@pytest.fixture
def site(ftp_server: FtpServer, proxy: FtpProxy, tmp_path: Path) -> Site:
    site = Site(tmp_path, ftp_server, proxy.port)
    published = site.run("import", "example", "--json", "--quiet")
    assert published.code == 0, published.output
    return site


def test_a_plan_tells_what_would_be_done_and_does_nothing(site: Site, proxy: FtpProxy) -> None:
    """SamKirkland/ftp-deploy #285, #70: dry runs that wrote, and erased."""
    site.change()
    before, said = tree_of(site.live), len(proxy.commands)
    planned = site.run("plan", "example", "--delete", "--json")
    assert planned.code == 0, planned.output
    plan = planned.json
    assert [f["path"] for f in plan["create"]] == ["new/page.html"]
    assert [f["path"] for f in plan["replace"]] == ["page-1.html"]
    assert [f["path"] for f in plan["delete"]] == ["page-2.html"]
    assert plan["directories"] == ["new"]
    assert (plan["unchanged"], plan["bytes"]) == (11, len("page 1, changed") + len("new"))
    assert plan["round_trip_seconds"] > 0
    assert plan["estimated_seconds"] >= 0
    assert tree_of(site.live) == before
    verbs = {command.split(" ")[0].upper() for command in proxy.commands[said:]}
    assert verbs <= READING, verbs - READING


def test_the_table_reads_like_a_sentence_and_a_list(site: Site) -> None:
    site.change()
    shown = site.run("import", "example", "--delete", "--dry-run")
    assert shown.code == 0, shown.output
    lines = shown.stdout.splitlines()
    assert re.match(
        r"example: 1 to create, 1 to replace, 1 to delete, 1 directories to make, 11 up to date; "
        r"18 B to send, about .* at .* for a round trip",
        lines[0],
    ), lines[0]
    assert [line.split() for line in lines[1:]] == [
        ["create", "3", "B", "new/page.html"],
        ["replace", "15", "B", "page-1.html"],
        ["delete", "6", "B", "page-2.html"],
        ["mkdir", "new/"],
    ]


def test_a_first_import_is_planned_file_by_file(ftp_server: FtpServer, tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    write_tree(installation.add_site(ftp_server), FILES)
    plan = installation.run("plan", "example", "--json").json
    assert [f["path"] for f in plan["create"]] == sorted(FILES)
    assert plan["directories"] == ["blog"]
    assert not (ftp_server.root / "public_html").exists()


def test_a_plan_file_is_carried_out_exactly(site: Site, tmp_path: Path) -> None:
    site.change()
    out = tmp_path / "example.plan"
    assert site.run("plan", "example", "--delete", "--out", str(out)).code == 0
    done = site.run("import", "example", "--plan", str(out), "--json", "--quiet")
    assert done.code == 0, done.output
    assert done.json["stats"]["uploaded"] == 2
    assert done.json["stats"]["deleted"] == 1
    assert tree_of(site.live) == tree_of(site.source)


def test_a_plan_is_refused_when_the_source_or_the_server_has_changed(
    site: Site, tmp_path: Path
) -> None:
    site.change()
    out = tmp_path / "example.plan"
    assert site.run("plan", "example", "--delete", "--out", str(out)).code == 0
    before = tree_of(site.live)
    (site.source / "page-1.html").write_text("page 1, chanGed")
    refused = site.run("import", "example", "--plan", str(out), "--json", "--quiet")
    assert refused.code == 6, refused.output
    assert "has changed since the plan was made" in refused.stderr
    assert tree_of(site.live) == before
    # What the plan was to do has been done by somebody else meanwhile.
    (site.source / "page-1.html").write_text("page 1, changed")
    assert site.run("import", "example", "--delete", "--quiet").code == 0
    assert site.run("import", "example", "--plan", str(out), "--quiet").code == 6


def test_a_plan_of_another_site_or_with_other_options_is_refused(
    site: Site, tmp_path: Path
) -> None:
    out = tmp_path / "example.plan"
    assert site.run("plan", "example", "--out", str(out)).code == 0
    assert site.run("import", "example", "--plan", str(out), "--delete").code == 2
    content = json.loads(out.read_text())
    out.write_text(json.dumps(content | {"site": "other"}))
    assert "is a plan of other" in site.run("import", "example", "--plan", str(out)).stderr
    out.write_text("{}")
    assert site.run("import", "example", "--plan", str(out)).code == 2
