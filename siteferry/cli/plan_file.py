"""Plan files: what `plan --out` writes and `import --plan` carries out."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from siteferry.errors import ConfigurationError
from siteferry.report.plan import Plan, plan_object
from siteferry.tree.plan_digest import plan_digest
from siteferry.websites.run_options import RunOptions

FORMAT = "siteferry-plan"
VERSION = 1


@dataclass(frozen=True, slots=True)
class PlanFile:
    """Which website a plan is for, with what options it was made, and what it comes to."""

    site: str
    options: RunOptions
    digest: str

    @property
    def to_carry_out(self) -> RunOptions:
        """The options of the run that does just that."""
        return replace(self.options, expected=self.digest)


def write_plan(path: Path, plan: Plan, options: RunOptions) -> None:
    """Write `plan`, which a dry run with `options` and SHA-256 sums has made.

    Raises:
        ConfigurationError: the file cannot be written.
    """
    content = {
        "format": FORMAT,
        "version": VERSION,
        "options": options.facts(),
        "digest": plan_digest(plan.steps),
        **plan_object(plan),
    }
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_text(json.dumps(content, indent=1) + "\n")
        beside.replace(path)
    except OSError as error:
        raise ConfigurationError(
            f"the plan cannot be written to {path}: {error.strerror}",
            next_step="Name another file after --out.",
        ) from error


def read_plan(path: Path) -> PlanFile:
    """Read back what `write_plan` wrote.

    Raises:
        ConfigurationError: it is no plan, or one of another version.
    """
    try:
        return _plan_file(json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ConfigurationError(
            f"{path} is no plan that this siteferry can carry out: {error}",
            next_step="Make one with: siteferry plan SITE --out FILE",
        ) from error


def _plan_file(content: Mapping[str, Any]) -> PlanFile:
    if content["format"] != FORMAT or content["version"] != VERSION:
        raise ValueError("it has another format or version")
    options = RunOptions.of(content["options"])
    return PlanFile(str(content["site"]), options, str(content["digest"]))
