"""The website files as a process that stays sees them: each is read again only when it changed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from siteferry.errors import ConfigurationError
from siteferry.settings import Settings
from siteferry.settings.document import shown_path
from siteferry.settings.problems import configuration_error
from siteferry.settings.references import is_name
from siteferry.websites import Chosen, website_files
from siteferry.websites.loading import examine_file

_Stamp = tuple[int, int, int]


@dataclass(slots=True)
class WebsiteFiles:
    """What the website files say, look by look.

    A file counts as changed when its size, its time or its inode is another one, or when it can be
    opened and could not be, or the reverse. The settings, and with them `defaults`, are those that
    the process was started with.

    parsed: how many files have been read so far.
    """

    settings: Settings
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    parsed: int = 0
    _known: dict[Path, tuple[_Stamp, Chosen]] = field(default_factory=dict, repr=False)
    _twice: dict[str, Chosen] = field(default_factory=dict, repr=False)

    def look(self) -> list[Chosen]:
        """Every website that has a file, by name; one that is not as it must be with its error.
        What has not changed since the last look is the same object.

        Raises:
            ConfigurationError: the folder is not there, cannot be read, or has no website left
                where it had some: a volume may be mounted on the folder itself.
        """
        folder = self.settings.paths.websites
        files = [file for file in website_files(self.settings) if is_name(file.stem)]
        if not files and not folder.is_dir():
            # As long as a volume is not mounted, nobody has removed its websites.
            raise ConfigurationError(
                f"the folder of the website files, {shown_path(folder)}, is not there",
                next_step="Create it, or correct paths.websites in the settings.",
            )
        found: dict[str, Chosen] = {}
        known: dict[Path, tuple[_Stamp, Chosen]] = {}
        for file in files:
            stamp = _stamp(file)
            if stamp is None:
                continue  # it has gone since it was listed
            before = self._known.get(file)
            known[file] = before if before and before[0] == stamp else (stamp, self._read(file))
            name = file.stem
            found[name] = self._two_files(name) if name in found else known[file][1]
        if self._known and not known:
            raise ConfigurationError(
                f"the folder of the website files, {shown_path(folder)}, has none left",
                next_step="Bring one back, or restart the scheduler if all of them are removed.",
            )
        self._known = known
        return list(found.values())

    def _read(self, file: Path) -> Chosen:
        self.parsed += 1
        website, problems = examine_file(file, self.settings, self.environ)
        error = configuration_error(problems) if website is None else None
        return Chosen(file.stem, website, error)

    def _two_files(self, name: str) -> Chosen:
        error = ConfigurationError(
            f"website {name} has more than one file", next_step="Remove all but one."
        )
        return self._twice.setdefault(name, Chosen(name, None, error))


def _stamp(file: Path) -> _Stamp | None:
    """What changes when the file does; None where it is not there. One that cannot be opened has
    one, too: who reads it is told why."""
    try:
        with file.open("rb") as stream:
            facts = os.fstat(stream.fileno())
    except FileNotFoundError:
        return None
    except OSError as error:
        return (-1, error.errno or 0, 0)
    return (facts.st_size, facts.st_mtime_ns, facts.st_ino)
