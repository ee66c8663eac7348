"""A website's sources as the tree modules take them."""

from __future__ import annotations

import posixpath
from collections.abc import Set as AbstractSet

from siteferry.settings import Settings
from siteferry.tree.rules import Rules
from siteferry.tree.scan import SourceRoot
from siteferry.tree.selection import Selection
from siteferry.websites import Website, list_websites, load_website
from siteferry.websites.naming import normal_remote_dir
from siteferry.websites.overlap import nested_below
from siteferry.websites.run_options import RunOptions


def source_roots(website: Website, settings: Settings) -> list[SourceRoot]:
    """Where the files are, and below which published directory each source goes."""
    workspace = website.workspace_path(settings)
    return [
        SourceRoot(
            local=workspace / source.path,
            prefix=(workspace / source.path).name if source.preserve_parent else "",
        )
        for source in website.sources
    ]


def selection_of(
    website: Website,
    settings: Settings,
    options: RunOptions,
    foreign: AbstractSet[str] = frozenset(),
) -> Selection:
    """What the run is about, and what it may delete.

    Args:
        foreign: published directories that belong to other websites.

    Raises:
        ConfigurationError: a pattern, or an ignore file of a source, is not usable.
    """
    rules = rules_of(website)
    return Selection(
        [rules.in_source(root.local, root.prefix) for root in source_roots(website, settings)],
        options.only,
        foreign,
    )


def foreign_directories(website: Website, settings: Settings) -> frozenset[str]:
    """Published directories of `website` that its deletes keep off: other websites', and where it
    stages itself.

    Raises:
        ConfigurationError: a website's file cannot be read, so nobody knows what is its own.
    """
    others = [load_website(name, settings) for name in list_websites(settings)]
    root, staging = normal_remote_dir(website.ftp.remote_dir), website.ftp.staging_dir
    own = {posixpath.relpath(normal_remote_dir(staging), root)} if staging else set()
    return nested_below(website, others) | {path for path in own if not path.startswith("..")}


def rules_of(website: Website) -> Rules:
    """What is left out of the import. What is protected on the server is never replaced, so it is
    not sent either."""
    return Rules((*website.exclude, *website.protect), website.protect)
