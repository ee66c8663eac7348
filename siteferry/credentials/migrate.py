"""Moves hard-coded logins out of website files into the credential store.

For each website: an encrypted copy of its file, then the values into the store (and back, to see
that they are there), and only then references in their places. Cut off anywhere and begun again, it
goes on: what is stored already is stored again, and what is a reference already is left alone.
"""

from __future__ import annotations

import datetime as dt
import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from siteferry.credentials.backup import read_backup, write_backup
from siteferry.credentials.base import CredentialBackend
from siteferry.credentials.cache import Stores
from siteferry.credentials.file_logins import FileLogin, find_logins, replaced
from siteferry.errors import ConfigurationError, CredentialAbsent, CredentialMalformed
from siteferry.settings import Settings
from siteferry.websites import CredentialReference, list_websites
from siteferry.websites.loading import website_file


class Step(StrEnum):
    """What becomes of one login in a file."""

    MOVED = "moved into the store"
    WOULD_MOVE = "would be moved into the store"
    KEPT = "the store has another value, which is the one in use: that one stays"
    LEFT = "refers to a store or to variables already"
    OBSTACLE = "has to be replaced by hand"


@dataclass(frozen=True, slots=True)
class Moved:
    """One login; `where` is its key in the file, `entry` its name in the store."""

    where: str
    line: int
    entry: str
    step: Step
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Migration:
    """What was done, or would be, with one website's file. `backup`: the encrypted copy."""

    site: str
    file: Path
    logins: tuple[Moved, ...]
    backup: Path | None = None

    @property
    def by_hand(self) -> bool:
        """Whether a plain value stays in the file."""
        return any(login.step is Step.OBSTACLE for login in self.logins)


def migrate(stores: Stores, site: str | None = None, *, dry_run: bool = False) -> list[Migration]:
    """Migrate one website's file, or all of them.

    Raises:
        CredentialError: the store cannot be written or does not answer; files that were not
            reached are as they were.
        ConfigurationError: there is no such website, or its file cannot be rewritten.
    """
    settings = stores.settings
    names = [site] if site is not None else list_websites(settings)
    return [_migrate(stores, name, website_file(name, settings), dry_run) for name in names]


def restore(stores: Stores, backup: Path) -> Path:
    """Write a website's file back as it was before it was migrated; gives its path. What is in the
    store stays there.

    Raises:
        CredentialError, ConfigurationError: see `read_backup`.
    """
    file, text = read_backup(backup, stores.store())
    _rewrite(file, text)
    return file


def _migrate(stores: Stores, site: str, file: Path, dry_run: bool) -> Migration:
    text = _read(file)
    logins = find_logins(text)
    plain = [login for login in logins if login.value is not None and not login.obstacle]
    if dry_run or not plain:
        return Migration(site, file, tuple(_told(site, login) for login in logins))
    store = stores.store()
    folder = backup_folder(stores.settings)
    backup = write_backup(folder, store, site, file, text, dt.datetime.now(dt.UTC))
    steps = {login.where: _put(store, site, login) for login in plain}
    new = text
    # From the end, so that the places of those before stay right.
    for login in sorted(plain, key=lambda found: found.start, reverse=True):
        new = replaced(new, login, CredentialReference(None, site, login.key))
    written = {login.where: login for login in find_logins(new)}
    if any(login.where not in written or written[login.where].value is not None for login in plain):
        raise ConfigurationError(
            f"{file} could not be rewritten safely; it is as it was",
            next_step="Replace the values by hand; they are in the store.",
        )
    _rewrite(file, new)
    moved = tuple(_told(site, login, steps.get(login.where)) for login in logins)
    return Migration(site, file, moved, backup)


def backup_folder(settings: Settings) -> Path:
    """Where the encrypted copies are: beside the file store, whatever store is selected."""
    return settings.credentials.file.path.parent / "backups"


def _told(site: str, login: FileLogin, step: Step | None = None) -> Moved:
    if login.value is None:
        step = Step.LEFT
    elif login.obstacle:
        step = Step.OBSTACLE
    return Moved(
        login.where,
        login.line,
        f"{site}/{login.key}",
        step or Step.WOULD_MOVE,
        login.obstacle if login.value is not None else "",
    )


def _put(store: CredentialBackend, site: str, login: FileLogin) -> Step:
    assert login.value is not None  # noqa: S101  # the caller's list holds no other
    try:
        known = store.get(site, login.key)
    except CredentialAbsent:
        store.store(site, login.key, login.value)
        if store.get(site, login.key) != login.value:
            raise CredentialMalformed(
                f"the store {store.name} gives {site}/{login.key} back other than it was stored",
                next_step="Nothing was rewritten; look at the store.",
            ) from None
        return Step.MOVED
    return Step.MOVED if known == login.value else Step.KEPT


def _read(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{file} cannot be read: {getattr(error, 'strerror', None) or 'it is not UTF-8 text'}"
        ) from None


def _rewrite(file: Path, text: str) -> None:
    """In one step, with the file's own rights; a link is followed, so that it stays one."""
    target = file.resolve()
    try:
        rights = target.stat()
        descriptor, draft = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(text.encode())
                stream.flush()
                os.fsync(stream.fileno())
            Path(draft).chmod(rights.st_mode & 0o7777)
            with suppress(PermissionError):
                os.chown(draft, rights.st_uid, rights.st_gid)
            Path(draft).replace(target)
        except BaseException:
            Path(draft).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ConfigurationError(
            f"{file} cannot be rewritten: {error.strerror}; it is as it was",
            next_step="Make the file and its folder writable, then run it again.",
        ) from error


def total(migrations: Sequence[Migration], step: Step) -> int:
    """How many logins came to `step`."""
    return sum(login.step is step for migration in migrations for login in migration.logins)
