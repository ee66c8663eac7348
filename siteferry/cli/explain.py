"""`siteferry explain`: why a path is published, or is not."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from siteferry.cli.options import GlobalOptions
from siteferry.dispatch.sources import rules_of, source_roots
from siteferry.report.as_text import one_line
from siteferry.settings import Settings
from siteferry.settings.document import shown_path
from siteferry.tree.paths import remote, shown
from siteferry.tree.rules import EXCLUDE, OWN_NAMES, PROTECT, Decision, Rule
from siteferry.tree.why import InSource, Why, published_path, why
from siteferry.websites import Website, load_website
from siteferry.websites.naming import normal_remote_dir


@click.command()
@click.argument("site")
@click.argument("path")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def explain(ctx: click.Context, site: str, path: str, as_json: bool) -> None:
    """Say why PATH of a website is published, or which rule leaves it out.

    PATH is as on the server, below the remote directory, or a local one inside a source; a slash at
    its end says that it is a directory, where there is none yet. Server and Redis are not asked.

    Exit code 0 when it is published, 1 when it is not.

    \b
    Examples:
      siteferry explain example css/site.css.map
      siteferry explain example workspaces/example/output/drafts/ --json
    """
    options: GlobalOptions = ctx.obj
    settings = options.load()
    website = load_website(site, settings)
    sources = source_roots(website, settings)
    found = why(
        sources,
        rules_of(website),
        published_path(sources, path),
        is_directory=path.endswith("/"),
    )
    origins = _Origins(website, settings)
    target = remote(normal_remote_dir(website.ftp.remote_dir), found.path)
    if as_json:
        click.echo(json.dumps(_as_json(site, found, target, origins), indent=2))
    else:
        for line in _lines(found, target, origins):
            click.echo(one_line(line))
    ctx.exit(0 if found.published else 1)


@dataclass(frozen=True, slots=True)
class _Origins:
    """Where the text of a rule stands."""

    website: Website
    settings: Settings

    def of(self, rule: Rule) -> tuple[str, str | None, int | None]:
        """The kind of the rule, its file and the line there; what siteferry adds has no file."""
        if rule.origin == OWN_NAMES:
            return rule.origin, None, None
        if rule.origin not in (EXCLUDE, PROTECT):
            return "ignore file", shown_path(Path(rule.origin)), rule.line
        key, index = rule.origin, rule.line - 1
        if key == EXCLUDE and index >= len(self.website.exclude):
            # What is protected is not sent either: `rules_of` adds it behind the excluded.
            key, index = PROTECT, index - len(self.website.exclude)
        own = self.website.positions
        if own.known((key,)):
            return key, own.origin, own.line((key, index))
        defaults = self.settings.positions
        return key, defaults.origin, defaults.line(("defaults", key, index))

    def told(self, decision: Decision) -> str:
        """`drafts matches 'drafts/' (exclude, config/websites/example.yaml:7)`."""
        kind, file, line = self.of(decision.rule)
        place = kind if file is None else f"{kind}, {file}" + (f":{line}" if line else "")
        return f"{shown(decision.at)} matches {decision.rule.text!r} ({place})"

    def as_json(self, decision: Decision | None) -> dict[str, Any] | None:
        if decision is None:
            return None
        kind, file, line = self.of(decision.rule)
        return {
            "kind": kind,
            "file": file,
            "line": line,
            "pattern": decision.rule.text,
            "matched": shown(decision.at),
            "negated": not decision.matches,
        }


def _lines(found: Why, target: str, origins: _Origins) -> Iterator[str]:
    name = shown(found.path) or "the root"
    yield f"{name}: published as {shown(target)}" if found.published else f"{name}: not published"
    for path, error in found.failures:
        yield f"  {path or 'the root'}: {error}"
    for warning in found.warnings:
        yield f"  {warning}"
    for source in found.sources:
        if source.exists:
            yield f"  {_told(source, found, origins)}"
    if not any(source.exists for source in found.sources):
        roots = ", ".join(source.root for source in found.sources)
        yield f"  no source has it: {roots}"
        rules = (s.decision for s in found.sources if s.decision is not None and s.left_out)
        for decision in dict.fromkeys(rules):
            yield f"  and it would be left out: {origins.told(decision)}"
    if found.protection is not None and found.protected:
        yield f"  protected on the server: {origins.told(found.protection)}"


def _told(source: InSource, found: Why, origins: _Origins) -> str:
    """What becomes of the path in one source that has it."""
    if source.decision is not None and source.left_out:
        return f"{source.local}: left out, for {origins.told(source.decision)}"
    if not _is_published(source, found):
        return f"{source.local}: not published" + (
            ", a later source has it too" if found.published else ""
        )
    let_in = f", let in, for {origins.told(source.decision)}" if source.decision else ""
    return f"{source.local}: published{let_in}"


def _is_published(source: InSource, found: Why) -> bool:
    return source.local is not None and os.path.realpath(source.local) in found.local


def _as_json(site: str, found: Why, target: str, origins: _Origins) -> dict[str, Any]:
    return {
        "site": site,
        "path": shown(found.path),
        "published": found.published,
        "directory": found.is_directory,
        "remote": shown(target),
        "sources": [
            {
                "source": shown(source.root),
                "local": None if source.local is None else shown(source.local),
                "exists": source.exists,
                "published": _is_published(source, found),
                "left_out": source.left_out,
                "rule": origins.as_json(source.decision),
            }
            for source in found.sources
        ],
        "protected": found.protected,
        "protected_by": origins.as_json(found.protection),
        "failures": [{"path": path, "error": str(error)} for path, error in found.failures],
        "warnings": list(found.warnings),
    }
