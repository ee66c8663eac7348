"""Website files as a process that stays sees them: read again when they change, and only then."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from scheduler.website_files import WebsiteFiles
from siteferry.errors import ConfigurationError
from siteferry.settings import load_settings

TEXT = "ftp: {host: ftp.example.com, username: u}\nschedule: {cron: '0 4 * * *'}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "config/websites"
    made.mkdir(parents=True)
    (tmp_path / "config/siteferry.yaml").write_text("defaults: {ftp: {max_connections: 3}}\n")
    return made


@pytest.fixture
def files(folder: Path) -> WebsiteFiles:
    return WebsiteFiles(load_settings(folder.parent / "siteferry.yaml", {}), {})


def names(files: WebsiteFiles) -> list[str]:
    return [one.name for one in files.look()]


def test_only_what_changed_is_read_again(folder: Path, files: WebsiteFiles) -> None:
    for name in ("a", "b", "c"):
        (folder / f"{name}.yaml").write_text(TEXT)
    first = files.look()
    assert [one.website.ftp.max_connections for one in first if one.website] == [3, 3, 3]
    assert files.look() == first
    assert files.parsed == 3

    (folder / "a.yaml").write_text(TEXT.replace("4", "5"))  # as long as before
    assert files.look()[0] is not first[0]
    (folder / "b.yaml").unlink()
    assert names(files) == ["a", "c"]
    (folder / "d.yml").write_text(TEXT)
    assert names(files) == ["a", "c", "d"]
    assert files.parsed == 5


def test_a_file_that_is_replaced_by_one_with_its_size_and_time_is_read_again(
    folder: Path, files: WebsiteFiles
) -> None:
    """As `cp -p` and a checkout that sets times do."""
    file = folder / "a.yaml"
    file.write_text(TEXT)
    files.look()
    facts = file.stat()
    (folder / "new").write_text(TEXT.replace("0 4", "9 4"))
    os.utime(folder / "new", ns=(facts.st_atime_ns, facts.st_mtime_ns))
    (folder / "new").replace(file)
    (one,) = files.look()
    assert one.website is not None
    assert one.website.schedule is not None
    assert one.website.schedule.cron == "9 4 * * *"


def test_a_link_counts_by_what_it_leads_to(folder: Path, files: WebsiteFiles) -> None:
    """So a ConfigMap of Kubernetes changes its files."""
    for version in ("1", "2"):
        (folder.parent / version).mkdir()
        (folder.parent / version / "a.yaml").write_text(TEXT.replace("4", version))
    current = folder.parent / "current"
    current.symlink_to("1")
    (folder / "a.yaml").symlink_to(current / "a.yaml")
    files.look()
    current.unlink()
    current.symlink_to("2")
    (one,) = files.look()
    assert one.website is not None
    assert one.website.schedule is not None
    assert one.website.schedule.cron == "0 2 * * *"


def test_a_broken_file_is_itself_until_it_changes(folder: Path, files: WebsiteFiles) -> None:
    (folder / "a.yaml").write_text("ftp: {hostt: x}\n")
    (first,) = files.look()
    (again,) = files.look()
    assert again is first
    assert "hostt" in str(first.error)
    assert files.parsed == 1


def test_a_file_that_may_not_be_looked_at_is_told_as_such_and_keeps_no_other_back(
    folder: Path, files: WebsiteFiles
) -> None:
    """As one without permission, or on a share that has gone stale."""
    (folder / "a.yaml").symlink_to("a" * 300)  # stat and open say: file name too long
    (folder / "b.yaml").write_text(TEXT)
    first, other = files.look()
    assert (first.name, first.website) == ("a", None)
    assert "cannot be read: File name too long" in str(first.error)
    assert other.website is not None
    assert files.look() == [first, other]
    assert files.look()[0] is first
    assert files.parsed == 2
    (folder / "a.yaml").unlink()
    (folder / "a.yaml").write_text(TEXT)
    assert files.look()[0].website is not None


def test_a_file_that_can_be_opened_again_is_read_again(
    folder: Path, files: WebsiteFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Permissions change neither its size nor its time."""
    file = folder / "a.yaml"
    file.write_text(TEXT)
    with monkeypatch.context() as patched:
        patched.setattr("scheduler.website_files.Path.open", denied)
        patched.setattr("scheduler.website_files.Path.read_bytes", denied)
        (first,) = files.look()
    assert "cannot be read: Permission denied" in str(first.error)
    assert files.look()[0].website is not None


def denied(*_: object, **__: object) -> None:
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def test_a_website_with_two_files_is_told_as_such(folder: Path, files: WebsiteFiles) -> None:
    (folder / "a.yaml").write_text(TEXT)
    (folder / "a.yml").write_text(TEXT)
    (first,) = files.look()
    assert "more than one file" in str(first.error)
    assert files.look() == [first]
    (folder / "a.yml").unlink()
    assert files.look()[0].website is not None


def test_what_is_no_website_is_passed_over(folder: Path, files: WebsiteFiles) -> None:
    for name in (".a.yaml.swp", "notes.txt", "-x.yaml", "a b.yaml"):
        (folder / name).write_text(TEXT)
    (folder / "folder.yaml").mkdir()
    (folder / "gone.yaml").symlink_to("nowhere")
    assert names(files) == []


def test_an_empty_folder_has_no_website_and_a_missing_one_is_an_error(
    folder: Path, files: WebsiteFiles
) -> None:
    assert names(files) == []
    folder.rmdir()
    with pytest.raises(ConfigurationError, match="is not there"):
        files.look()


def test_a_folder_that_has_no_website_left_is_as_one_that_cannot_be_read(
    folder: Path, files: WebsiteFiles
) -> None:
    """It may be the place where a volume is mounted."""
    (folder / "a.yaml").write_text(TEXT)
    files.look()
    (folder / "a.yaml").rename(folder.parent / "a.yaml")
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="has none left"):
            files.look()
    (folder.parent / "a.yaml").rename(folder / "a.yaml")
    assert names(files) == ["a"]
    assert files.parsed == 1
