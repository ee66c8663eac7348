"""What is said when a website file is wrong: file, line, key, and never a value."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from siteferry.errors import ConfigurationError
from siteferry.settings import Settings, load_settings
from siteferry.websites import (
    Website,
    load_website,
    website_from_mapping,
)
from tests.refusal import MARKED, refusal


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Default settings in an empty working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config/websites").mkdir(parents=True)
    return load_settings(None, {})


def write(text: str, name: str = "shop.yaml") -> None:
    Path("config/websites", name).write_text(text, encoding="utf-8")


def read(
    text: str, settings: Settings, environ: dict[str, str] | None = None, name: str = "shop"
) -> Website:
    write(text, f"{name}.yaml")
    return load_website(name, settings, environ or {})


def refused(text: str, settings: Settings, environ: dict[str, str] | None = None) -> str:
    """Load `text`, which must be refused; gives the message."""
    return refusal(lambda: read(text, settings, environ))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("website: {groups: [a]}", "ftp.host: is required, unless website.domain is given"),
        ("website: {domain: a b}", "1: website.domain: must be a host name"),
        ("website:\n  name: other", "2: website.name: must be shop, as the file is called"),
        ("website: x", "1: website: must be a mapping"),
        ("name: shop", "1: name: is not a known key; known here: after, "),
        ("identity: {}", "1: identity: is not a known key"),
        ("bandwith:", "1: bandwith: is not a known key; did you mean bandwidth?"),
        ("ftp:\n  hots: x", "2: ftp.hots: is not a known key; did you mean host?"),
        ("ftp:\n  pasword:", "2: ftp.pasword: is not a known key; did you mean password?"),
        (f"ftp: {{host: h, password:{MARKED}}}", "1: ftp.(a key): is not a known key"),
        (f"ftp:\n  host: ftp://{MARKED}", "2: ftp.host: must be a host name or an address only"),
        (f"ftp:\n  host: h:{MARKED}", "2: ftp.host: must be a host name"),
        ("ftp:\n  port: 65536", "2: ftp.port: must be 65535 or less"),
        (f"ftp:\n  port: {MARKED}", "2: ftp.port: must be a whole number"),
        (f"ftp:\n  security: {MARKED}", "2: ftp.security: must be 'explicit', 'implicit', 'none'"),
        (f"ftp:\n  verify: {MARKED}", "2: ftp.verify: must be true or false"),
        (f"ftp:\n  fingerprint: {MARKED}", "2: ftp.fingerprint: must be `sha256:`"),
        ("ftp:\n  username: 12", "2: ftp.username: must be text: put it in quotes"),
        ("ftp:\n  password: 12", "2: ftp.password: must be text: put it in quotes"),
        (f"ftp:\n  password: [{MARKED}]", "2: ftp.password: must be text: put it in quotes"),
        (f'ftp:\n  password: "{MARKED}\\r\\n"', "2: ftp.password: must not hold a line break"),
        (f'ftp:\n  username: "{MARKED}\\n"', "2: ftp.username: must not hold a line break"),
        (f"ftp:\n  password: {MARKED}${{x", "2: ftp.password: after `${` must come NAME}"),
        (f"ftp:\n  remote_dir: /a/../{MARKED}", "2: ftp.remote_dir: must be a path on the server"),
        (f'ftp:\n  remote_dir: "{MARKED}\\n"', "2: ftp.remote_dir: must not hold a line break"),
        ("ftp:\n  max_connections: 0", "2: ftp.max_connections: must be 1 or more"),
        ("ftp:\n  timeouts: {connect: 0}", "2: ftp.timeouts.connect: must be greater than 0"),
        ("ftp:\n  timeouts: 60", "2: ftp.timeouts: must be a mapping"),
        (
            f"ftp: {{host: h, ca_file: a,\n  fingerprint: 'sha256:{'0' * 64}'}}",
            "2: ftp.fingerprint",
        ),
        ("sources: output", "1: sources: must be a list"),
        ("sources: []", "1: sources: must not be empty"),
        (f"sources: [../{MARKED}]", "1: sources[0].path: must be a path inside the workspace"),
        (f"sources:\n- a\n- /{MARKED}", "3: sources[1].path: must be a path inside the workspace"),
        ("sources:\n- {}", "2: sources[0].path: is required"),
        ("sources:\n- {path: ., preserve_parent: true}", "2: sources[0]: has no parent"),
        (f"exclude: {MARKED}", "1: exclude: must be a list"),
        (f"compare: {MARKED}", "1: compare: must be 'auto', "),
        ("publish_order: [assets, assets, entry]", "1: publish_order: must name each of"),
        (f"delete:\n  max: {MARKED}", "2: delete.max: must be a number of files"),
        ("keep_previous: -1", "1: keep_previous: must be 0 or more"),
        (f"verify: ['ftp://{MARKED}']", "1: verify[0].url: must be http:// or https://"),
        (f"verify: ['http://u:{MARKED}@h/']", "1: verify[0].url: must be http:// or https://"),
        (f"verify: ['http://u:{MARKED[:7]}@h/']", "1: verify[0].url: must be http:// or https://"),
        (f"after: ['{MARKED}']", "1: after[0].url: must be an address that begins"),
        (f"after: [{{command: {MARKED}}}]", "1: after[0].command: must be a list"),
        ("after: [{command: []}]", "1: after[0].command: must be a list: the program"),
        ("after: [{}]", "1: after[0]: must have either `command` or `url`"),
        (f"bandwidth: {MARKED}", "1: bandwidth: must be a number of bytes, such as 2MiB or 500k"),
        (f"schedule:\n  cron: {MARKED}", "2: schedule.cron: must be five fields"),
        ("schedule: {timezone: UTC}", "1: schedule.cron: is required"),
        (f"schedule:\n  cron: '* * * * *'\n  timezone: {MARKED}", "3: schedule.timezone: must be"),
        ("chmod:\n  files: 0644", "2: chmod.files: must be permissions in three octal digits"),
        ("chmod:\n  directories: '555'", "2: chmod.directories: must begin with 7, or nothing"),
        ("protect: ['${GONE}']", "1: protect[0]: the environment variable GONE is not set"),
        ("protect: ['${credential:a/B}']", "1: protect[0]: takes no credential reference"),
    ],
)
def test_a_mistake_is_told_with_file_line_and_key(
    text: str, message: str, settings: Settings
) -> None:
    told = refused(text, settings)
    place = f"config/websites/shop.yaml:{message}"
    assert place in told or f"config/websites/shop.yaml: {message}" in told


def test_all_mistakes_of_a_file_are_told_together(settings: Settings) -> None:
    message = refused(
        "website: {name: other}\nftp:\n  port: x\n  hots: y\nsources: [/a, ok]\nexclude: ['${A}']\n"
        "compare: z\ncompare: z\n",
        settings,
    )
    assert [line.split(": ")[0].rpartition(":")[2] for line in message.splitlines()] == [
        "1",
        "2",
        "3",
        "4",
        "5",
        "6",
        "8",
    ]


def test_a_file_that_is_not_yaml_is_told_with_nothing_besides(settings: Settings) -> None:
    Path("config/siteferry.yaml").write_text("defaults: {bandwidth: '${GONE}'}")
    message = refused(f"ftp:\n  password: '{MARKED}", load_settings(None, {}))
    assert len(message.splitlines()) == 1
    assert "shop.yaml:2: is not YAML: a quote or bracket that was opened" in message


def test_a_mapping_without_a_name_or_a_file_is_told_by_its_origin() -> None:
    with pytest.raises(ConfigurationError) as caught:
        website_from_mapping({"ftp": {"host": "h", "port": MARKED}}, "ftp://h/")
    assert str(caught.value).splitlines() == [
        "ftp://h/: ftp.port: must be a whole number",
        "ftp://h/: website.name: is required",
    ]


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(value, dict):
        return [p for key in value for p in [(*path, key), *_paths(value[key], (*path, key))]]
    if isinstance(value, list):
        return [p for n in range(len(value)) for p in [(*path, n), *_paths(value[n], (*path, n))]]
    return []


FULL: dict[str, Any] = {
    "website": {"name": "shop", "domain": "example.com", "workspace": "w", "groups": ["g"]},
    "ftp": {
        "host": "h.example",
        "port": 21,
        "security": "explicit",
        "ca_file": "x",
        "verify": True,
        "username": "u1",
        "password": "p",
        "remote_dir": "/",
        "encoding": "auto",
        "timeouts": {"connect": 1},
    },
    "sources": [{"path": "output", "preserve_parent": False}],
    "exclude": ["x"],
    "publish_order": ["assets", "pages", "entry"],
    "delete": {"mode": "none", "max": "10%"},
    "verify": [{"url": "https://example.com", "status": 200, "file": "a"}],
    "after": [{"command": ["x"]}, {"url": "https://example.com"}],
    "bandwidth": "1k",
    "schedule": {"cron": "* * * * *", "timezone": "UTC", "overlap": "skip", "missed": "run"},
    "chmod": {"files": "644"},
}
ODD_VALUES = st.sampled_from(
    [
        MARKED,
        f"${{{MARKED}",
        f"${{GONE:-{MARKED}}}",
        f"${{credential:{MARKED}}}",
        f"{MARKED}\n",
        [MARKED],
        {MARKED: MARKED},
        {"path": MARKED, "url": MARKED},
        -1,
        None,
        True,
        1.5,
    ]
)


@given(st.data())
@hypothesis_settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_a_value_in_the_wrong_place_is_never_quoted(data: st.DataObject) -> None:
    """Three values of a full file are replaced by odd ones, most of which hold the mark."""
    content = copy.deepcopy(FULL)
    for path in data.draw(st.lists(st.sampled_from(_paths(FULL)), min_size=1, max_size=3)):
        at: Any = content
        for part in path[:-1]:
            at = at[part] if isinstance(at, dict) and part in at else None
        if isinstance(at, dict):
            # A copy: it may be put into itself, and is drawn again.
            at[path[-1]] = copy.deepcopy(data.draw(ODD_VALUES))
    try:
        site = website_from_mapping(content, "test", environ={})
    except ConfigurationError as error:
        assert MARKED not in str(error)  # noqa: PT017 - either outcome is right
    else:
        assert MARKED not in repr(site.ftp.password)
