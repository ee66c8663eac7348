"""A website's sources as the tree modules take them."""

from __future__ import annotations

from siteferry.settings import Settings
from siteferry.tree.rules import Rules
from siteferry.tree.scan import SourceRoot
from siteferry.websites import Website


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


def rules_of(website: Website) -> Rules:
    """What is left out of the import. What is protected on the server is never replaced, so it is
    not sent either."""
    return Rules((*website.exclude, *website.protect), website.protect)
