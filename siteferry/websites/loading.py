"""Finding and reading website files."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from siteferry.errors import ConfigurationError
from siteferry.settings import Problem, Settings
from siteferry.settings.document import Document, Positions, read_document, shown_path
from siteferry.settings.problems import configuration_error
from siteferry.settings.references import is_name
from siteferry.websites.checking import Surroundings, check_website
from siteferry.websites.models import Website

SUFFIXES = (".yaml", ".yml", ".json")
NAME_RULE = "letters, digits, `.`, `_` and `-`, beginning with none of `.` and `-`"


def load_website(
    name: str, settings: Settings, environ: Mapping[str, str] | None = None
) -> Website:
    """Read `<paths.websites>/<name>.yaml` (or `.yml`, `.json`).

    Raises:
        ConfigurationError: there is no such file, or it is not as it must be; all problems are
            told, each with file, line and key, none with a value.
    """
    website, problems = examine_website(name, settings, environ)
    if website is None:
        raise configuration_error(problems)
    return website


def examine_website(
    name: str, settings: Settings, environ: Mapping[str, str] | None = None
) -> tuple[Website | None, list[Problem]]:
    """As `load_website`, with the problems as values; exactly one of the two is there.

    Raises:
        ConfigurationError: there is no such file, or more than one.
    """
    return examine_file(website_file(name, settings), settings, environ)


def examine_file(
    file: Path, settings: Settings, environ: Mapping[str, str] | None = None
) -> tuple[Website | None, list[Problem]]:
    """As `examine_website`, for one file; the website is called as the file is."""
    return check_website(read_document(file), _surroundings(settings, environ), file.stem)


def list_websites(settings: Settings) -> list[str]:
    """The names of the websites that have a file, sorted. Hidden files do not count.

    Raises:
        ConfigurationError: the folder cannot be read. Where there is none, there is no website.
    """
    return sorted({file.stem for file in website_files(settings) if is_name(file.stem)})


def website_files(settings: Settings) -> list[Path]:
    """Every file that is meant for a website, also one whose name cannot be a website's.

    Raises:
        ConfigurationError: the folder cannot be read.
    """
    folder = settings.paths.websites
    try:
        entries = sorted(folder.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ConfigurationError(
            f"the folder of the website files, {shown_path(folder)}, cannot be read: "
            f"{error.strerror}",
            next_step="Correct paths.websites in the settings.",
        ) from error
    return [
        entry
        for entry in entries
        if entry.suffix in SUFFIXES and not entry.name.startswith(".") and _is_there(entry)
    ]


def _is_there(entry: Path) -> bool:
    """Whether it is a file. One that is listed and may not be looked at is taken for one: who reads
    it is told why it cannot be, and no other website is kept from anything."""
    try:
        return entry.is_file()
    except OSError:
        return _is_listed(entry)


def _is_listed(entry: Path) -> bool:
    try:
        return entry in entry.parent.iterdir()
    except OSError:
        return False


def website_file(name: str, settings: Settings) -> Path:
    """The file of a website.

    Raises:
        ConfigurationError: the name is not one, there is no such file, or more than one.
    """
    found = files_of(name, settings)
    if len(found) > 1:
        names = " and ".join(shown_path(file) for file in found)
        raise ConfigurationError(
            f"website {name} has more than one file: {names}", next_step="Remove all but one."
        )
    if not found:
        near = difflib.get_close_matches(name, list_websites(settings), n=1)
        raise ConfigurationError(
            f"there is no website {name}: "
            f"{shown_path(settings.paths.websites / name)}.yaml does not exist",
            next_step=f"Did you mean {near[0]}?"
            if near
            else f"Write it with: siteferry init {name}",
        )
    return found[0]


def files_of(name: str, settings: Settings) -> list[Path]:
    """The files that claim to be this website; one, where all is right.

    Raises:
        ConfigurationError: no website can have that name.
    """
    if not is_name(name):
        raise ConfigurationError(
            f"{name!r} cannot be a website's name", next_step=f"Use {NAME_RULE}."
        )
    candidates = (settings.paths.websites / f"{name}{suffix}" for suffix in SUFFIXES)
    return [file for file in candidates if _is_there(file)]


def website_from_mapping(
    data: Mapping[str, Any],
    origin: str,
    settings: Settings | None = None,
    environ: Mapping[str, str] | None = None,
) -> Website:
    """Check plain values as a website file's content; `origin` stands for the file in errors.

    `website.name` is required here. Without `settings`, no defaults are merged in and relative
    paths start from the working directory.

    Raises:
        ConfigurationError: as for `load_website`, without lines.
    """
    document = Document(Positions(origin), dict(data))
    website, problems = check_website(document, _surroundings(settings, environ))
    if website is None:
        raise configuration_error(problems)
    return website


def _surroundings(settings: Settings | None, environ: Mapping[str, str] | None) -> Surroundings:
    env = os.environ if environ is None else environ
    if settings is None:
        return Surroundings(env, Path.cwd())
    return Surroundings(env, settings.base, settings.defaults, settings.positions)
