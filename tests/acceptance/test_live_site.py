"""Visitors of a live site while an import replaces it: over HTTP, from a real web server on the
FTP server's own folder, in a tight loop. No visitor sees a half of anything."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import unavailable
from tests.installation import Installation, Outcome, tree_of, write_tree
from tests.servers.base import FtpServer
from tests.servers.web import WebServer
from tests.visitors import Round, Visitor, Visitors, naming
from tests.visits import Read, Role, Seen, Visit, led_back, missing, mixed_seconds, torn

VISITORS = 2
ASSETS_OF_A_PAGE = 8
NEW_FILES = 100
CHANGED_ASSETS = (".css", ".js", ".scss", ".svg")
ENOUGH_VISITS = 300
ROUNDING_SECONDS = 0.001
"""`publish_seconds` has three decimals."""


@dataclass(frozen=True)
class Site:
    """WordPress in two versions; `entries`, `pages` and `assets` are in both. In the new one all
    entries and pages and most assets are longer, and each page names a new file besides."""

    tree: Path
    entries: list[str]
    pages: list[str]
    assets: list[str]

    @classmethod
    def of(cls, tree: Path) -> Site:
        files = sorted(str(p.relative_to(tree)) for p in tree.rglob("*") if p.is_file())
        scripts = [path for path in files if path.endswith((".php", ".html"))]
        entries = [path for path in scripts if Path(path).stem == "index"]
        pages = sorted(set(scripts) - set(entries))
        # .htaccess is for the web server alone, which shows it to nobody.
        hidden = {path for path in files if Path(path).name.startswith(".ht")}
        return cls(tree, entries, pages, sorted(set(files) - set(scripts) - hidden))

    def write_old(self, folder: Path) -> None:
        shutil.copytree(self.tree, folder, dirs_exist_ok=True)
        self._write_scripts(folder, "version 1", [])

    def write_new(self, folder: Path) -> None:
        shutil.copytree(self.tree, folder, dirs_exist_ok=True)
        added = [f"wp-content/new/{number:03}.css" for number in range(NEW_FILES)]
        (folder / "wp-content/new").mkdir()
        for path in added:
            (folder / path).write_text(f"/* {path} */\n" * 500)
        for path in self.assets:
            if path.endswith(CHANGED_ASSETS):
                _put_first(folder / path, b"/* version 2 */\n")
        self._write_scripts(folder, "the second version", added)

    def _write_scripts(self, folder: Path, version: str, added: list[str]) -> None:
        for path in self.entries:
            _put_first(folder / path, naming(version, []))
        # Assets from every part of the tree, for one directory's are replaced almost at once.
        step = len(self.assets) // ASSETS_OF_A_PAGE
        for number, path in enumerate(self.pages):
            named = [
                self.assets[(number + part * step) % len(self.assets)]
                for part in range(ASSETS_OF_A_PAGE)
            ]
            named += added[number % NEW_FILES :][:1]
            _put_first(folder / path, naming(version, named))


def _put_first(file: Path, line: bytes) -> None:
    # Every byte moves, so what is partly the one version and partly the other is neither.
    file.write_bytes(line + file.read_bytes())


def _files_of(folder: Path) -> dict[str, str]:
    return {path: digest for path, digest in tree_of(folder).items() if digest != "directory"}


@dataclass(frozen=True)
class Replacement:
    """An import of the new version, and all the visits from before its beginning until after its
    end (times of the monotonic clock)."""

    outcome: Outcome
    began: float
    ended: float
    visits: list[Visit]

    @property
    def publish_seconds(self) -> float:
        seconds: float = self.outcome.json["publish_seconds"]
        return seconds

    @property
    def before(self) -> list[Visit]:
        return [visit for visit in self.visits if visit.ended < self.began]

    @property
    def during(self) -> list[Visit]:
        return [v for v in self.visits if v.began > self.began and v.ended < self.ended]

    @property
    def after(self) -> list[Visit]:
        return [visit for visit in self.visits if visit.began > self.ended]

    def figures(self) -> str:
        mixed = sum(visit.mixed for visit in self.visits)
        return (
            f"{len(self.during)} visits during an import of {self.outcome.json['seconds']} s;"
            f" {sum(len(visit.reads) for visit in self.visits)} files read in all; {mixed} visits"
            f" saw a mixture, within {mixed_seconds(self.visits):.3f} s; the import reports"
            f" {self.publish_seconds} s"
        )


def _import(installation: Installation) -> Outcome:
    outcome = installation.run("import", "example", "--json", "--quiet")
    assert outcome.code == 0, outcome.output
    return outcome


def _replace(server: FtpServer, folder: Path, wordpress: Path) -> Replacement:
    """Publish the old version, then the new one under the eyes of visitors."""
    installation = Installation(folder)
    source = installation.add_site(server)
    site = Site.of(wordpress)
    site.write_old(source)
    _import(installation)
    old = _files_of(source)
    site.write_new(source)
    new = _files_of(source)
    places = Round(site.entries, site.pages, {path: (old.get(path), new[path]) for path in new})
    with (
        WebServer(server.root / "public_html") as web,
        Visitors(web.host, web.port, places, count=VISITORS) as visitors,
    ):
        began = time.monotonic()
        outcome = _import(installation)
        ended = time.monotonic()
        visits = visitors.visits()
    replaced = [path for path in old if new[path] != old[path]]
    assert outcome.json["stats"]["uploaded"] == len(replaced) + NEW_FILES
    assert outcome.json["stats"]["failed"] == 0
    return Replacement(outcome, began, ended, visits)


@pytest.fixture
def web_server_is_there() -> None:
    if reason := WebServer.missing():
        unavailable(reason)


@pytest.mark.slow
@pytest.mark.timeout(200)
@pytest.mark.usefixtures("web_server_is_there")
@pytest.mark.parametrize("kind", ["vsftpd", "pureftpd", "proftpd"])
def test_visitors_see_each_file_whole_and_nothing_old_behind_what_is_new(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, wordpress_tree: Path
) -> None:
    """And a mixture of both versions for no longer than the import says that there was one."""
    factory: Callable[..., FtpServer] = request.getfixturevalue(kind)
    seen = _replace(factory().fresh(), tmp_path, wordpress_tree)
    print(f"\n{kind}: {seen.figures()}")  # noqa: T201  # for pytest -s

    assert missing(seen.visits) == []
    assert torn(seen.visits) == []
    assert led_back(seen.visits) == []
    assert mixed_seconds(seen.visits) <= seen.publish_seconds + ROUNDING_SECONDS
    assert {visit.versions for visit in seen.before} == {frozenset({Seen.OLD})}
    assert {visit.versions for visit in seen.after} == {frozenset({Seen.NEW})}
    # None of this would mean anything if nobody had looked.
    assert len(seen.during) >= ENOUGH_VISITS
    assert any(visit.mixed for visit in seen.during), "nobody came while it was published"


@pytest.mark.usefixtures("web_server_is_there")
def test_a_visitor_tells_both_versions_of_a_file_from_everything_else(open_folder: Path) -> None:
    page = naming("version 1", ["old.css", "new.css", "same.css", "half.css", "gone.css"])
    versions = {"old.css": (b"old", b"new"), "new.css": (b"old", b"new"), "same.css": (b"=", b"=")}
    versions |= {"half.css": (b"whole", b"whole, and new"), "gone.css": (b"here", b"and here")}
    versions |= {"index.php": (b"home", b"new home"), "page.php": (page, b"")}
    now: dict[str, str | bytes] = {"old.css": "old", "new.css": "new", "same.css": "="}
    now |= {"half.css": "whole, and", "index.php": "home", "page.php": page}
    write_tree(open_folder, now)
    digests = {
        path: (hashlib.sha256(old).hexdigest(), hashlib.sha256(new).hexdigest())
        for path, (old, new) in versions.items()
    }
    places = Round(["index.php"], ["page.php"], digests)
    with WebServer(open_folder) as web, Visitor(web.host, web.port, places) as visitor:
        visit = visitor.visit(7)
    assert [(read.path, read.status, read.seen) for read in visit.reads] == [
        ("index.php", 200, Seen.OLD),
        ("page.php", 200, Seen.OLD),
        ("old.css", 200, Seen.OLD),
        ("new.css", 200, Seen.NEW),
        ("same.css", 200, Seen.SAME),
        ("half.css", 200, Seen.TORN),
        ("gone.css", 404, Seen.NOTHING),
    ]
    assert torn([visit]) == [visit.reads[5]]
    assert missing([visit]) == [visit.reads[6]]


def _visit(*seen: str, at: float = 0.0) -> Visit:
    """A visit to an entry, a page and assets; each read takes a second, and the next comes at
    once."""
    roles = [Role.ENTRY, Role.PAGE, *[Role.ASSET] * len(seen)]
    return Visit(
        tuple(
            Read(f"{number}", roles[number], at + number, at + number + 1, 200, Seen(name))
            for number, name in enumerate(seen)
        )
    )


@pytest.mark.parametrize(
    "seen",
    [
        ("new", "old", "same"),  # the home page came before the page
        ("old", "new", "new", "old"),  # the page before an asset
        ("new", "same", "new", "old"),  # the home page before an asset
    ],
)
def test_something_old_behind_something_new_that_leads_to_it_is_found(
    seen: tuple[str, ...],
) -> None:
    good = _visit("old", "old", "old")
    assert led_back([good, bad := _visit(*seen)]) == [bad]


@pytest.mark.parametrize(
    "seen",
    [
        ("old", "old", "new", "old"),  # one asset before the other: no page asks for it yet
        ("old", "new", "new", "same"),
        ("same", "old", "new", "new"),
        ("new", "new", "new", "new"),
    ],
)
def test_an_old_page_with_new_assets_is_a_mixture_at_most(seen: tuple[str, ...]) -> None:
    assert led_back([visit := _visit(*seen)]) == []
    assert visit.mixed is ("old" in seen)


def test_a_mixture_lasts_from_the_first_new_file_seen_until_the_last_old_one_asked_for() -> None:
    old, new = _visit("old", "old", at=0), _visit("new", "new", at=10)
    assert mixed_seconds([old, new]) <= 0
    assert mixed_seconds([old, _visit("old", "new", "new", "old", "same", at=2), new]) == 1
    # One visitor is far ahead of another: neither saw a mixture, and yet there was one.
    assert mixed_seconds([new, _visit("old", "old", at=20)]) == 10
    assert mixed_seconds([old]) == 0
