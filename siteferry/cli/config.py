"""`siteferry config`: whether the configuration is right, and its JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from siteferry.credentials import BACKENDS
from siteferry.credentials.references import password_warning
from siteferry.settings import Problem, Settings, examine_settings, select_store
from siteferry.settings.document import shown_path
from siteferry.settings.references import is_name
from siteferry.settings.schema import editor_schema
from siteferry.websites import CredentialReference, Website, website_files
from siteferry.websites.loading import NAME_RULE, examine_file
from siteferry.websites.overlap import Overlap, find_overlaps
from siteferry.websites.schema import website_schema

if TYPE_CHECKING:
    from siteferry.cli.options import GlobalOptions

_NO_STORE = f"names no store that siteferry has; there are {', '.join(BACKENDS)}"


@click.group("config")
def config() -> None:
    """Check the configuration, or print its JSON Schema."""


@config.command("check")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def check(ctx: click.Context, as_json: bool) -> None:
    """Read everything and print each problem as `file:line: key: message`.

    Exit code 0 when all is right, 2 otherwise. Sources and hosts are not looked at. Two websites
    with one target are a problem; that one publishes into a directory of the other is a note.

    \b
    Examples:
      siteferry config check
      siteferry --config /etc/siteferry/siteferry.yaml config check --json
    """
    options: GlobalOptions = ctx.obj
    settings, problems = examine_settings(options.config)
    names: list[str] = []
    warnings: list[str] = []
    notes: list[str] = []
    if options.credential_backend is not None and settings is not None:
        settings = select_store(settings, options.credential_backend)
    if settings is not None:
        names, websites, found = _examine_websites(settings)
        warnings = [password_warning(w.name) for w in websites if w.password_in_file]
        overlaps = find_overlaps(websites)
        notes = [_nested(overlap) for overlap in overlaps if not overlap.equal]
        problems = [*_store_problems(settings), *found, *_equal_targets(websites, overlaps)]
    problems = sorted(set(problems), key=lambda p: (p.file, p.line or 0, p.key, p.message))
    if as_json:
        report = {
            "ok": not problems,
            "websites": names,
            "problems": [asdict(problem) for problem in problems],
            "warnings": [*warnings, *notes],
        }
        click.echo(json.dumps(report, indent=2, ensure_ascii=False))
    else:
        for problem in problems:
            click.echo(str(problem))
        for warning in warnings:
            click.echo(f"warning: {warning}", err=True)
        for note in notes:
            click.echo(f"note: {note}", err=True)
        if not problems and settings is not None:
            click.echo(_all_fine(len(names), settings.paths.websites))
    ctx.exit(2 if problems else 0)


@config.command("schema")
@click.argument("which", type=click.Choice(["website", "settings"]), default="website")
def schema(which: str) -> None:
    """Print the JSON Schema of website files, or of siteferry.yaml.

    \b
    Examples:
      siteferry config schema > website.schema.json
      siteferry config schema settings
    """
    content = (
        website_schema() if which == "website" else editor_schema(Settings, "siteferry settings")
    )
    click.echo(json.dumps(content, indent=2, ensure_ascii=False))


def _all_fine(count: int, folder: Path) -> str:
    if count == 0:
        return f"no website in {shown_path(folder)} yet; write the first: siteferry init SITE"
    return "1 website is fine" if count == 1 else f"{count} websites are fine"


def _store_problems(settings: Settings) -> Iterator[Problem]:
    backend = settings.credentials.backend
    if backend not in BACKENDS:
        line = settings.positions.line(("credentials", "backend"))
        yield Problem(settings.positions.origin, line, "credentials.backend", _NO_STORE)


def _examine_websites(settings: Settings) -> tuple[list[str], list[Website], list[Problem]]:
    """The names of the websites that there are, those that are right, and all that is wrong with
    their files."""
    files: dict[str, Path] = {}
    websites: list[Website] = []
    problems: list[Problem] = []
    for file in website_files(settings):
        if not is_name(file.stem):
            problems.append(Problem(shown_path(file), None, "", f"its name must be {NAME_RULE}"))
        elif file.stem in files:
            other = shown_path(files[file.stem])
            message = f"is a second file of the website in {other}; remove one of them"
            problems.append(Problem(shown_path(file), None, "", message))
        else:
            files[file.stem] = file
            website, found = examine_file(file, settings)
            problems += found
            if website is not None:
                websites.append(website)
                problems += _unknown_stores(website)
    return sorted(files), websites, problems


def _unknown_stores(website: Website) -> Iterator[Problem]:
    for key, login in (("username", website.ftp.username), ("password", website.ftp.password)):
        if isinstance(login, CredentialReference) and login.backend not in (None, *BACKENDS):
            yield _at(website, key, _NO_STORE)


def _equal_targets(websites: Sequence[Website], overlaps: Sequence[Overlap]) -> Iterator[Problem]:
    """Each once, with the first website that has it."""
    by_name = {website.name: website for website in websites}
    told: set[tuple[str, str]] = set()
    for overlap in overlaps:
        if overlap.equal and (overlap.inner, overlap.inner_place) not in told:
            told.add((overlap.inner, overlap.inner_place))
            place = "directory"
            if (overlap.outer_place, overlap.inner_place) != ("remote_dir", "remote_dir"):
                place = overlap.outer_place
            yield _at(
                by_name[overlap.inner],
                overlap.inner_place,
                f"the same account and {place} as website {overlap.outer}:"
                " each would replace the other",
            )


def _nested(overlap: Overlap) -> str:
    return (
        f"{overlap.inner_place} of website {overlap.inner} lies in {overlap.outer_place} of website"
        f" {overlap.outer}, at {overlap.below}"
    )


def _at(website: Website, key: str, message: str) -> Problem:
    positions = website.positions
    block = "hostinger" if positions.known(("hostinger",)) else "ftp"
    return Problem(positions.origin, positions.line((block, key)), f"{block}.{key}", message)
