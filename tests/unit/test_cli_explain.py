"""`siteferry explain`, and `config check` of websites in one place, as a user calls them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from siteferry.cli.config import config
from siteferry.cli.explain import explain
from siteferry.cli.options import GlobalOptions
from siteferry.errors import ConfigurationError

WEBSITE = """\
ftp: {host: ftp.example.com, username: u, remote_dir: www}
sources: [output, {path: blog, preserve_parent: true}, extra]
exclude:
  - "*.map"
  - drafts/
protect: [uploads/]
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with one website and three sources, no settings from the environment."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("SITEFERRY_"):
            monkeypatch.delenv(name)
    write("config/websites/site.yaml", WEBSITE)
    for path in (
        "output/index.html", "output/app.map", "output/drafts/a.html", "output/uploads/1.jpg",
        "output/both", "extra/both", "blog/post.html", "blog/old.html",
    ):  # fmt: skip
        write(f"workspaces/site/{path}", path)
    write("workspaces/site/blog/.siteferryignore", "# not shown any more\n/old.html\n!post.html\n")
    return tmp_path


def write(name: str, text: str) -> None:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(text)


def run(command: Any, *arguments: str) -> Result:
    runner = CliRunner(catch_exceptions=False)
    return runner.invoke(command, list(arguments), obj=GlobalOptions())


def test_a_published_path_ends_with_0_and_tells_where_from_and_where_to(here: Path) -> None:
    result = run(explain, "site", "index.html")
    assert (result.exit_code, result.output.splitlines()) == (
        0,
        [
            "index.html: published as /www/index.html",
            f"  {here}/workspaces/site/output/index.html: published",
        ],
    )


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("app.map", "app.map matches '*.map' (exclude, config/websites/site.yaml:4)"),
        ("drafts/a.html", "drafts matches 'drafts/' (exclude, config/websites/site.yaml:5)"),
        ("uploads/1.jpg", "uploads matches 'uploads/' (protect, config/websites/site.yaml:6)"),
        (
            "blog/old.html",
            "blog/old.html matches '/old.html'"
            " (ignore file, workspaces/site/blog/.siteferryignore:2)",
        ),
        (
            "blog/.siteferryignore",
            "blog/.siteferryignore matches '.siteferryignore' (siteferry's own names)",
        ),
    ],
)
def test_a_path_that_is_left_out_ends_with_1_and_names_the_rule_and_its_line(
    here: Path, path: str, reason: str
) -> None:
    result = run(explain, "site", path)
    assert result.exit_code == 1
    first, second, *_ = result.output.splitlines()
    assert first == f"{path}: not published"
    assert second.endswith(f": left out, for {reason}")


def test_a_rule_from_the_defaults_is_told_with_the_settings_file(here: Path) -> None:
    write("config/siteferry.yaml", "defaults:\n  exclude:\n    - index.*\n")
    write("config/websites/other.yaml", "website: {workspace: site}\nftp: {host: h}\n")
    output = run(explain, "other", "index.html").output
    assert "index.html matches 'index.*' (exclude, config/siteferry.yaml:3)" in output


def test_a_line_that_lets_in_is_told_too(here: Path) -> None:
    result = run(explain, "site", "blog/post.html")
    assert result.exit_code == 0
    assert "published, let in, for blog/post.html matches '!post.html'" in result.output


def test_of_several_sources_the_one_that_is_published_is_told(here: Path) -> None:
    lines = run(explain, "site", "both").output.splitlines()
    assert lines[-2:] == [
        f"  {here}/workspaces/site/output/both: not published, a later source has it too",
        f"  {here}/workspaces/site/extra/both: published",
    ]


def test_a_path_that_no_source_has_ends_with_1(here: Path) -> None:
    result = run(explain, "site", "gone.map")
    assert result.exit_code == 1
    assert "no source has it" in result.output
    assert "it would be left out: gone.map matches '*.map'" in result.output


def test_a_local_path_is_understood(here: Path) -> None:
    result = run(explain, "site", "workspaces/site/blog/post.html")
    assert result.output.startswith("blog/post.html: published as /www/blog/post.html\n")


def test_a_line_break_in_a_name_begins_no_line(here: Path) -> None:
    write("workspaces/site/output/a\nb: published", "x")
    result = run(explain, "site", "a\nb: published")
    assert result.exit_code == 1
    assert "FTP cannot carry a name with a line break" in result.output
    assert not any(line.startswith("b: ") for line in result.output.splitlines())


def test_programs_read_the_same_as_json(here: Path) -> None:
    result = run(explain, "site", "blog/old.html", "--json")
    assert result.exit_code == 1
    answer = json.loads(result.output)
    sources = answer.pop("sources")
    assert answer == {
        "site": "site",
        "path": "blog/old.html",
        "published": False,
        "directory": False,
        "remote": "/www/blog/old.html",
        "protected": False,
        "protected_by": None,
        "failures": [],
        "warnings": [],
    }
    assert [source["exists"] for source in sources] == [False, True, False]
    assert sources[1]["left_out"]
    assert sources[1]["rule"] == {
        "kind": "ignore file",
        "file": "workspaces/site/blog/.siteferryignore",
        "line": 2,
        "pattern": "/old.html",
        "matched": "blog/old.html",
        "negated": False,
    }
    protected = json.loads(run(explain, "site", "uploads/1.jpg", "--json").output)
    assert protected["protected"]
    assert protected["protected_by"]["kind"] == "protect"


def test_a_website_or_a_source_that_is_missing_goes_to_the_caller(here: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no website"):
        run(explain, "siet", "x")
    write("config/websites/bare.yaml", "ftp: {host: h}\n")
    with pytest.raises(ConfigurationError, match="cannot be used"):
        run(explain, "bare", "x")


def test_neither_celery_nor_redis_is_loaded(here: Path) -> None:
    code = (
        "import sys; from siteferry.cli import cli\n"
        "try: cli(['explain', 'site', 'index.html'])\n"
        "except SystemExit: pass\n"
        "print('LOADED', *sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    said, _, loaded = done.stdout.partition("LOADED")
    assert said.startswith("index.html: published")
    assert {"celery", "kombu", "redis", "hvac", "boto3"}.isdisjoint(loaded.split())


# -- config check: websites in one place -------------------------------------------------------


def test_the_check_notes_a_website_inside_another_and_ends_with_0(here: Path) -> None:
    write(
        "config/websites/inner.yaml",
        "ftp: {host: ftp.example.com, username: u, remote_dir: /www/in}",
    )
    result = run(config, "check")
    assert (result.exit_code, result.stdout) == (0, "2 websites are fine\n")
    note = "remote_dir of website inner lies in remote_dir of website site, at in"
    assert result.stderr == f"note: {note}\n"
    report = json.loads(run(config, "check", "--json").stdout)
    assert (report["ok"], report["warnings"]) == (True, [note])


def test_the_check_refuses_two_websites_that_stage_in_one_place(here: Path) -> None:
    for name in ("a", "b"):
        write(
            f"config/websites/{name}.yaml",
            f"ftp:\n  host: h\n  username: u\n  remote_dir: /{name}\n  staging_dir: /stage\n",
        )
    result = run(config, "check")
    assert result.exit_code == 2
    assert result.output == (
        "config/websites/b.yaml:5: ftp.staging_dir: the same account and staging_dir as website a:"
        " each would replace the other\n"
    )
