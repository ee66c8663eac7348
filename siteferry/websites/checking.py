"""From the text of a website file to a checked `Website`, telling all that is wrong at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from siteferry.settings.document import Document, Positions
from siteferry.settings.expansion import expand_tree
from siteferry.settings.nodes import KeyPath
from siteferry.settings.problems import Problem, known_keys, problem_at, problems_of, without_nulls
from siteferry.settings.values import is_ip_address
from siteferry.websites.models import Website

LEGACY_BLOCK = "hostinger"
_LOGINS: tuple[KeyPath, ...] = (("ftp", "username"), ("ftp", "password"))
_IMPLICIT_PORT = 990


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a website file is read with: defaults and base folder of the settings, environment."""

    environ: Mapping[str, str] = field(repr=False)
    base: Path = Path()
    defaults: Mapping[str, Any] = field(default_factory=dict, repr=False)
    defaults_positions: Positions = field(default_factory=lambda: Positions("(defaults)"))


def check_website(
    document: Document, around: Surroundings, name: str | None = None
) -> tuple[Website | None, list[Problem]]:
    """Make a Website, or tell what keeps it from being one; exactly one of the two is there.

    `name` is what the file's name says; without it the document must say it.
    """
    draft = _Draft(document, around)
    draft.merge_and_expand()
    if not document.readable:
        return None, [problem for problem in draft.problems if not problem.key]
    draft.identify(name)
    draft.fill_ftp()
    website = None
    try:
        website = Website.model_validate(draft.data, context={"base": around.base})
    except ValidationError as error:
        draft.problems += problems_of(error, Website, draft.locate, draft.reported)
    if website is None or draft.problems:
        return None, draft.problems
    website._positions = document.positions
    return website, []


def merged(below: Any, above: Any) -> Any:
    """`above` on top of `below`: mappings key by key, anything else whole."""
    if not (isinstance(below, Mapping) and isinstance(above, Mapping)):
        return above
    both = {key: merged(below[key], above[key]) for key in below.keys() & above.keys()}
    return {**below, **above, **both}


@dataclass
class _Draft:
    """The document on its way to being checked; `reported` are paths that need no second word."""

    document: Document
    around: Surroundings
    data: dict[str, Any] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    reported: list[KeyPath] = field(default_factory=list)
    legacy: bool = False

    def locate(self, path: KeyPath) -> tuple[str, int | None, KeyPath]:
        """Where `path` stands: in the website's file, or in the settings' defaults."""
        written = path
        if self.legacy and path[:1] == ("ftp",):
            written = (LEGACY_BLOCK, *path[1:])
        if _depth(self.around.defaults, path) > _depth(self.document.data, written):
            below: KeyPath = ("defaults", *path)
            positions = self.around.defaults_positions
            return positions.origin, positions.line(below), below
        positions = self.document.positions
        return positions.origin, positions.line(written), written

    def fault(self, path: KeyPath, message: str) -> None:
        self.problems.append(problem_at(path, message, self.locate))
        if path:
            self.reported.append(path)

    def merge_and_expand(self) -> None:
        own = dict(self.document.data)
        faults = list(self.document.faults)
        if LEGACY_BLOCK in own:
            if own.get("ftp") is not None:
                faults.append(((LEGACY_BLOCK,), "stands beside `ftp`; only one of them can count"))
                del own[LEGACY_BLOCK]
            else:
                self.legacy = True
                own["ftp"] = own.pop(LEGACY_BLOCK)
                faults = [(_renamed(path), message) for path, message in faults]
        # A section without content counts as absent, so that it does not hide the defaults.
        known = known_keys(Website, ())
        own = {key: value for key, value in own.items() if value is not None or key not in known}
        data = merged(self.around.defaults, own)
        expanded, unexpanded = expand_tree(
            data, self.around.environ, lambda path, _: path in _LOGINS
        )
        self.data = without_nulls(expanded, Website)
        for path, message in (*faults, *unexpanded):
            self.fault(path, message)

    def identify(self, name: str | None) -> None:
        block = self.data.setdefault("website", {})
        if not isinstance(block, dict):
            return
        if name is not None and block.setdefault("name", name) != name:
            self.fault(("website", "name"), f"must be {name}, as the file is called")
        if "workspace" not in block:
            # What is wrong with the name is said once, at the name.
            self.reported.append(("website", "workspace"))
            block["workspace"] = block.get("name")

    def fill_ftp(self) -> None:
        """What depends on other values: host on domain, port on security, security on the age."""
        ftp = self.data.setdefault("ftp", {})
        if not isinstance(ftp, dict):
            return
        if self.legacy:
            ftp.setdefault("security", "auto")
        if ftp.get("security") == "implicit":
            ftp.setdefault("port", _IMPLICIT_PORT)
        if "host" not in ftp and ("ftp", "host") not in self.reported:
            identity = self.data.get("website")
            domain = identity.get("domain") if isinstance(identity, dict) else None
            if isinstance(domain, str):
                # A wrong domain is reported at the domain only.
                self.reported.append(("ftp", "host"))
                ftp["host"] = domain if is_ip_address(domain) else f"ftp.{domain}"
            else:
                self.fault(("ftp", "host"), "is required, unless website.domain is given")
        if "fingerprint" in ftp and "ca_file" in ftp:
            self.fault(("ftp", "fingerprint"), "stands beside ca_file; only one of them can count")


def _depth(data: Any, path: KeyPath) -> int:
    """How many leading parts of `path` there are in `data`; a list counts as a whole."""
    for depth, part in enumerate(path):
        if not isinstance(data, Mapping) or part not in data:
            return depth
        data = data[part]
    return len(path)


def _renamed(path: KeyPath) -> KeyPath:
    return ("ftp", *path[1:]) if path[:1] == (LEGACY_BLOCK,) else path
