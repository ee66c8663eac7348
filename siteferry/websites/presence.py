"""Whether a website's sources are where they must be. Producers have none, so it is asked apart."""

from __future__ import annotations

from pathlib import Path

from siteferry.errors import ConfigurationError
from siteferry.settings import Settings
from siteferry.websites.models import Website


def check_sources(website: Website, settings: Settings) -> None:
    """Make sure that the workspace and every source directory are there.

    Raises:
        ConfigurationError: one of them is missing or is no directory; the path is named.
    """
    workspace = website.workspace_path(settings)
    if not workspace.is_dir():
        state = "is not a directory" if workspace.exists() else "does not exist"
        raise ConfigurationError(
            f"the workspace of website {website.name}, {workspace}, {state}",
            next_step="Create it, or correct website.workspace or paths.workspaces.",
        )
    if wrong := missing_sources(website, settings):
        listed = ", ".join(
            f"{path} ({'not a directory' if path.exists() else 'missing'})" for path in wrong
        )
        raise ConfigurationError(
            f"website {website.name} has no such source directory: {listed}",
            next_step="Build the site there, or correct `sources` in its file.",
        )


def missing_sources(website: Website, settings: Settings) -> list[Path]:
    """The source directories that are not there, or cannot be looked at."""
    workspace = website.workspace_path(settings)
    return [
        workspace / source.path
        for source in website.sources
        if not _is_directory(workspace / source.path)
    ]


def _is_directory(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        # A share whose server has gone (ESTALE, EIO), or that this user may not enter.
        return False
