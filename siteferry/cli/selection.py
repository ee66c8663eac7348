"""The websites that a command is about, as its arguments and options name them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import click

from siteferry.errors import ConfigurationError
from siteferry.settings import Settings
from siteferry.websites import Chosen, check_sources, choose_websites
from siteferry.websites.choosing import is_pattern

_Command = TypeVar("_Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--all", "every", is_flag=True, help="All websites of the configuration."),
    click.option("--group", "groups", multiple=True, metavar="GROUP",
                 help="Those with this in `website.groups`. May be repeated."),
)  # fmt: skip


def selection_options(command: _Command) -> _Command:
    """Add the options that name websites besides the arguments."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@dataclass(frozen=True, slots=True)
class Selection:
    """What the user wrote: names and patterns, groups, or --all.

    Raises:
        click.UsageError: it is none of them, or --all beside others.
    """

    sites: tuple[str, ...]
    groups: tuple[str, ...] = ()
    every: bool = False

    def __post_init__(self) -> None:
        if bool(self.sites or self.groups) == self.every:
            raise click.UsageError(
                "name at least one website or --group, or give --all (and not both)"
            )

    @property
    def many(self) -> bool:
        """Whether it may be several, however many it turns out to be: there is a table or a list
        then, and what is wrong with one of them is told there."""
        several = len(set(self.sites)) > 1
        return self.every or bool(self.groups) or several or any(map(is_pattern, self.sites))

    def choose(self, settings: Settings) -> list[Chosen]:
        """The websites, each once.

        Raises:
            ConfigurationError: there is no such website or group; or there is only one website to
                be read, and its file is not as it must be.
        """
        chosen = choose_websites(settings, self.sites, self.groups, every=self.every)
        if not self.many and chosen[0].error is not None:
            raise chosen[0].error
        return chosen


def with_sources(chosen: Sequence[Chosen], settings: Settings) -> list[Chosen]:
    """The same, with what has no source directory on this machine as one that cannot be read."""
    return [_with_sources(one, settings) for one in chosen]


def _with_sources(one: Chosen, settings: Settings) -> Chosen:
    if one.website is None:
        return one
    try:
        check_sources(one.website, settings)
    except ConfigurationError as error:
        return replace(one, website=None, error=error)
    return one
