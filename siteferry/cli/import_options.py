"""The options of `import` and `plan` that decide what a run does."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click
from pydantic_core import PydanticCustomError

from siteferry.settings.values import parse_size
from siteferry.websites.run_options import COMPARE_MODES, RunOptions
from siteferry.websites.values import DeleteLimit

_Command = TypeVar("_Command", bound=Callable[..., Any])


class _Limit(click.ParamType[str]):
    name = "N|P%"

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        """Check that it is a number of files or a share."""
        if DeleteLimit.parse(value) is None:
            self.fail("must be a number of files, such as 25, or a share, such as 10%", param, ctx)
        return str(value)


class Rate(click.ParamType[int]):
    """A number of bytes, as in 2MiB."""

    name = "rate"

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        """Bytes per second."""
        if isinstance(value, int):
            return value
        try:
            return int(parse_size(value))
        except PydanticCustomError as error:
            self.fail(str(error), param, ctx)


_WHAT = (
    click.option("--only", multiple=True, metavar="GLOB", help="Only what this gitignore pattern "
                 "names; all else is left as it is. May be repeated."),
    click.option("--exclude", multiple=True, metavar="GLOB", help="Leave this out, too."),
    click.option("--compare", type=click.Choice(COMPARE_MODES), help="What the source is compared "
                 "with; default from the website's file, then auto."),
    click.option("--adopt", is_flag=True, help="Take over a live site: what stands there with the "
                 "same size counts as published."),
    click.option("--delete", "published", is_flag=True, help="Delete what siteferry published and "
                 "the source no longer has."),
    click.option("--delete-all", is_flag=True, help="Delete everything that is not in the source, "
                 "except what is excluded or protected."),
    click.option("--max-delete", type=_Limit(), help="At most so many files, or such a share of "
                 "them, may be deleted; default from the website's file, then 10%."),
    click.option("--purge", is_flag=True, help="Send everything anew, and delete the rest when it "
                 "is published."),
)  # fmt: skip


def what_options(command: _Command) -> _Command:
    """Add the options that say what a run is about."""
    for option in reversed(_WHAT):
        command = option(command)
    return command


def run_options(
    *,
    only: tuple[str, ...],
    exclude: tuple[str, ...],
    compare: Any,
    adopt: bool,
    published: bool,
    delete_all: bool,
    max_delete: str | None,
    purge: bool,
    **others: Any,
) -> RunOptions:
    """The options as a run keeps them.

    Raises:
        click.UsageError: some of them contradict each other.
    """
    purge_first = bool(others.get("purge_first"))
    asked = {
        "--delete": published,
        "--delete-all": delete_all,
        "--purge": purge,
        "--purge-first": purge_first,
    }
    given = [name for name, is_given in asked.items() if is_given]
    if len(given) > 1:
        raise click.UsageError(f"{' and '.join(given)} cannot go together")
    if purge or purge_first:
        for name, value in (("--only", only), ("--adopt", adopt), ("--compare", compare)):
            if value:
                raise click.UsageError(f"{given[0]} and {name} cannot go together")
    return RunOptions(
        compare=compare,
        only=only,
        exclude=exclude,
        delete="all" if delete_all else "published" if published else None,
        max_delete=max_delete,
        purge=purge,
        adopt=adopt,
        **others,
    )


def confirm_purge(names: list[str], *, yes: bool) -> None:
    """Ask before the live site is emptied.

    Raises:
        click.UsageError: there is no terminal to ask at, and no --yes.
        click.Abort: the answer is no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("--purge-first empties the live site: add --yes to say so")
    click.confirm(
        f"This empties the live site of {', '.join(names)} before anything is sent. Go on?",
        abort=True,
    )
