"""Hard-coded logins moved into the store: what is found, what is rewritten, what is left alone."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from siteferry.credentials import MemoryBackend, Stores
from siteferry.credentials.file_logins import find_logins
from siteferry.credentials.migrate import Migration, Step, migrate, restore
from siteferry.errors import ConfigurationError, CredentialUnreachable
from siteferry.secret import Secret
from siteferry.settings import Settings, load_settings
from siteferry.websites import load_website

MARKED = "hunter2-S3cret"

OLD = f"""\
# The shop. Do not touch on Fridays.
website: {{name: shop,   domain: shop.example}}   # spaces are ours

hostinger:
    username: 'u123456'     # from the panel
    password: {MARKED}   # TODO change
    remote_dir: /public_html

sources:
  - path: output
"""
NEW = OLD.replace("'u123456'", '"${credential:shop/FTP_USERNAME}"').replace(
    MARKED, '"${credential:shop/FTP_PASSWORD}"'
)


class Place:
    """An installation in a folder, with a store in memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "config/websites").mkdir(parents=True)
        (folder / "config/siteferry.yaml").write_text("{}")
        self.backend = MemoryBackend()

    def file(self, text: str, name: str = "shop.yaml") -> Path:
        path = self.folder / "config/websites" / name
        path.write_bytes(text.encode())
        return path

    @property
    def settings(self) -> Settings:
        return load_settings(self.folder / "config/siteferry.yaml", {})

    def stores(self) -> Stores:
        return Stores(self.settings, lambda _name, _settings: self.backend)

    def migrate(self, **options: Any) -> Migration:
        (done,) = migrate(self.stores(), "shop", **options)
        return done


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def steps(done: Migration) -> list[tuple[str, int, str, Step]]:
    return [(login.where, login.line, login.entry, login.step) for login in done.logins]


def test_values_go_into_the_store_and_references_in_their_places_and_nothing_else_changes(
    place: Place,
) -> None:
    file = place.file(OLD)
    file.chmod(0o640)
    done = place.migrate()
    assert file.read_text() == NEW
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert place.backend.get("shop", "FTP_PASSWORD") == Secret(MARKED)
    assert place.backend.get("shop", "FTP_USERNAME") == Secret("u123456")
    assert steps(done) == [
        ("hostinger.username", 5, "shop/FTP_USERNAME", Step.MOVED),
        ("hostinger.password", 6, "shop/FTP_PASSWORD", Step.MOVED),
    ]
    website = load_website("shop", place.settings, {})
    assert str(website.ftp.password) == "${credential:shop/FTP_PASSWORD}"
    assert sorted(path.name for path in file.parent.iterdir()) == ["shop.yaml"]


def test_a_dry_run_tells_the_same_and_does_nothing(place: Place) -> None:
    file = place.file(OLD)
    done = place.migrate(dry_run=True)
    assert [login.step for login in done.logins] == [Step.WOULD_MOVE] * 2
    assert done.backup is None
    assert file.read_text() == OLD
    assert place.backend.list() == ()
    assert not (place.folder / "credentials").exists()


def test_a_second_time_there_is_nothing_to_do(place: Place) -> None:
    file = place.file(OLD)
    place.migrate()
    entries = place.backend.list()
    done = place.migrate()
    assert [login.step for login in done.logins] == [Step.LEFT] * 2
    assert done.backup is None
    assert (file.read_text(), place.backend.list()) == (NEW, entries)


def test_references_and_variables_are_left_alone(place: Place) -> None:
    text = "ftp:\n  host: h\n  username: ${USER_NAME}\n  password: ${credential:x/Y}\n"
    file = place.file(text)
    assert [login.step for login in place.migrate().logins] == [Step.LEFT] * 2
    assert file.read_text() == text


def test_a_value_that_the_store_has_already_stays_for_it_is_the_one_in_use(place: Place) -> None:
    place.file(OLD)
    place.backend.store("shop", "FTP_PASSWORD", Secret("a newer one"))
    assert [login.step for login in place.migrate().logins] == [Step.MOVED, Step.KEPT]
    assert place.backend.get("shop", "FTP_PASSWORD") == Secret("a newer one")


@pytest.mark.parametrize(
    "text",
    [
        OLD.replace("\n", "\r\n"),
        json.dumps({"ftp": {"host": "h", "username": "u123456", "password": MARKED}}, indent=4),
        f"ftp: {{host: h, username: u123456, password: {MARKED}, port: 21}}\n",
        f'# ümläut 日本 🚢\nftp:\n  host: h\n  username: u123456\n  password: "{MARKED}"',
        f"ftp:\n  host: h\n  username: u123456\n  password:\n    {MARKED}\n",
    ],
    ids=["CRLF", "JSON", "flow", "unicode in front", "on a line of its own"],
)
def test_every_way_of_writing_a_value_is_rewritten_in_its_place(place: Place, text: str) -> None:
    file = place.file(text)
    assert not place.migrate().by_hand
    new = file.read_bytes().decode()
    assert new.replace('"${credential:shop/FTP_PASSWORD}"', "@").replace(
        '"${credential:shop/FTP_USERNAME}"', "@"
    ) == text.replace(f'"{MARKED}"', "@").replace(MARKED, "@").replace("'u123456'", "@").replace(
        '"u123456"', "@"
    ).replace("u123456", "@")
    assert str(load_website("shop", place.settings, {}).ftp.username).startswith("${credential:")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"ftp:\n  host: h\n  password: &p {MARKED}\n", "anchor"),
        (f"x: &p {MARKED}\nftp:\n  host: h\n  password: *p\n", "alias"),
        (f"ftp:\n  host: h\n  password: >-\n    {MARKED}\n", "several lines"),
        (f"x: &b {{password: {MARKED}}}\nftp:\n  host: h\n  <<: *b\n", "merged in"),
        (f"ftp: {{host: h, password: a, password: {MARKED}}}\n", "twice"),
    ],
)
def test_what_a_program_cannot_replace_is_said_and_left(
    place: Place, text: str, reason: str
) -> None:
    file = place.file(text)
    done = place.migrate()
    assert done.by_hand
    assert reason in done.logins[-1].detail
    assert file.read_text() == text
    assert place.backend.list() == ()


def test_the_copy_shows_nothing_and_opens_with_the_store(place: Place) -> None:
    file = place.file(OLD)
    backup = place.migrate().backup
    assert backup is not None
    assert MARKED not in backup.read_text()
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert stat.S_IMODE(backup.parent.stat().st_mode) == 0o700
    file.write_text("lost")
    assert restore(place.stores(), backup) == file
    assert file.read_text() == OLD


def test_without_the_store_the_copy_stays_closed(place: Place) -> None:
    place.file(OLD)
    backup = place.migrate().backup
    assert backup is not None
    place.backend = MemoryBackend()
    with pytest.raises(Exception, match="has no credential shop/BACKUP_KEY"):
        restore(place.stores(), backup)
    with pytest.raises(ConfigurationError, match="is no backup"):
        restore(place.stores(), place.folder / "config/siteferry.yaml")


class Failing(MemoryBackend):
    """Fails at its `after`th store."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.after = after

    def store(self, site: str, key: str, value: Secret) -> None:
        self.after -= 1
        if self.after < 0:
            raise CredentialUnreachable("gone")
        super().store(site, key, value)


@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_store_that_fails_in_the_middle_leaves_the_file_and_the_next_time_all_is_done(
    place: Place, after: int
) -> None:
    file = place.file(OLD)
    place.backend = Failing(after)
    with pytest.raises(CredentialUnreachable):
        place.migrate()
    assert file.read_text() == OLD
    place.backend.after = 99  # type: ignore[attr-defined]
    assert not place.migrate().by_hand
    assert file.read_text() == NEW
    assert place.backend.get("shop", "FTP_PASSWORD") == Secret(MARKED)


def test_a_file_that_cannot_be_replaced_stays_whole(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = place.file(OLD)

    def fails(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(Path, "replace", fails)
    with pytest.raises(ConfigurationError, match="No space left on device; it is as it was"):
        place.migrate()
    assert file.read_text() == OLD
    assert [path.name for path in file.parent.iterdir()] == ["shop.yaml"]


def test_a_link_stays_a_link(place: Place, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere.yaml"
    target.write_text(OLD)
    link = place.folder / "config/websites/shop.yaml"
    link.symlink_to(target)
    place.migrate()
    assert link.is_symlink()
    assert target.read_text() == NEW


def test_a_login_is_found_only_where_logins_stand() -> None:
    text = "password: a\nother: {password: b}\nftp: {host: h, password: c, verify: false}\n"
    assert [login.where for login in find_logins(text)] == ["ftp.password"]
    assert find_logins("[") == []
    assert find_logins("- a") == []
    assert find_logins("ftp: {username: ~, password: ''}") == []
