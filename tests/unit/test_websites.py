"""Website files: what they may say, what it means, and what is said when they are wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from siteferry.secret import Secret
from siteferry.settings import Settings, load_settings
from siteferry.websites import (
    CredentialReference,
    DeleteLimit,
    EnvironmentText,
    Source,
    Website,
    account,
    load_website,
    target,
    website_from_mapping,
)
from siteferry.websites.cron import cron_fault
from tests.refusal import MARKED, refusal

REPOSITORY = Path(__file__).parents[2]


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


def ftp(**keys: Any) -> Website:
    return website_from_mapping(
        {"website": {"name": "shop"}, "ftp": {"host": "ftp.example.com", **keys}}, "test"
    )


# What a file means


def test_a_host_is_enough(settings: Settings) -> None:
    site = read("ftp: {host: FTP.example.com}", settings)
    assert (site.name, site.domain, site.workspace, site.groups) == ("shop", None, "shop", ())
    assert (site.ftp.host, site.ftp.port, site.ftp.security) == ("ftp.example.com", 21, "explicit")
    assert (site.ftp.verify, site.ftp.ca_file, site.ftp.fingerprint) == (True, None, None)
    assert (site.ftp.username, site.ftp.password) == (None, None)
    assert (site.ftp.remote_dir, site.ftp.staging_dir) == ("/", None)
    assert (site.ftp.max_connections, site.ftp.encoding) == (8, "auto")
    timeouts = site.ftp.timeouts
    assert (timeouts.connect, timeouts.control, timeouts.data) == (15.0, 60.0, 60.0)
    assert site.sources == (Source(path="output"),)
    assert (site.exclude, site.protect, site.compare) == ((), (), "auto")
    assert (site.publish, site.publish_order) == ("staged", ("assets", "pages", "entry"))
    assert (site.delete.mode, site.delete.max) == ("none", DeleteLimit(percent=10))
    assert (site.keep_previous, site.on_failure, site.allow_purge_root) == (0, "hold", False)
    assert (site.verify, site.after) == ((), ())
    assert (site.bandwidth, site.schedule, site.chmod) == (None, None, None)


def test_the_host_follows_from_the_domain(settings: Settings) -> None:
    assert read("website: {domain: Example.com}", settings).ftp.host == "ftp.example.com"
    assert read("website: {domain: '::1'}", settings).ftp.host == "::1"


def test_the_port_follows_from_the_security(settings: Settings) -> None:
    assert ftp(security="implicit").ftp.port == 990
    assert ftp(security="implicit", port=2121).ftp.port == 2121
    assert ftp(security="none").ftp.port == 21


def test_the_documented_example_is_right_and_shows_every_key() -> None:
    file = REPOSITORY / "config/websites/example.yaml"
    settings = load_settings(REPOSITORY / "config/siteferry.yaml", {})
    site = load_website("example", settings, {})
    text = file.read_text(encoding="utf-8")
    keys = [field.alias or name for name, field in Website.model_fields.items()]
    keys += [f"  {name}" for name in type(site.identity).model_fields]
    keys += [f"  {name}" for name in type(site.ftp).model_fields]
    assert site.schedule is not None
    keys += [f"  {name}" for name in type(site.schedule).model_fields]
    assert [key for key in keys if f"\n{key}:" not in text] == []
    assert str(site.ftp.password) == "${credential:example/FTP_PASSWORD}"
    assert site.delete.max == DeleteLimit(percent=10)


def test_every_key_is_read(settings: Settings) -> None:
    site = read(
        """
website: {name: shop, domain: example.com, workspace: ws/shop, groups: [clients, big]}
ftp:
  host: 192.0.2.7
  port: 2121
  security: none
  verify: false
  fingerprint: "SHA256:00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff:\
00112233445566778899AABBCCDDEEFF"
  username: u1
  password: pw1
  remote_dir: /www
  staging_dir: /staging
  max_connections: 3
  encoding: latin-1
  timeouts: {connect: 1, control: 2.5, data: 3}
sources: [public, {path: static/files, preserve_parent: true}]
exclude: ["*.map"]
protect: ["uploads/"]
compare: checksum
publish: per-file
publish_order: [entry, assets, pages]
delete: {mode: published, max: 25}
keep_previous: 2
on_failure: publish
verify: ["https://example.com/", {url: "https://example.com/a", status: 404, text: T, file: a}]
after: ["https://hooks.example/x", {command: [notify, --now]}]
bandwidth: 2MiB
schedule: {cron: "*/5 0-6 1,15 jan mon-fri", timezone: Europe/Vilnius, overlap: queue}
allow_purge_root: true
chmod: {files: "644", directories: "0755"}
""",
        settings,
    )
    assert site.workspace_path(settings) == Path.cwd() / "workspaces/ws/shop"
    assert site.groups == ("clients", "big")
    assert (site.ftp.host, site.ftp.port, site.ftp.verify) == ("192.0.2.7", 2121, False)
    assert site.ftp.fingerprint == (
        "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
    )
    assert (site.ftp.username, site.ftp.password) == ("u1", Secret("pw1"))
    assert (site.ftp.remote_dir, site.ftp.staging_dir) == ("/www", "/staging")
    assert site.ftp.timeouts.control == 2.5
    assert site.sources == (
        Source(path="public"),
        Source(path="static/files", preserve_parent=True),
    )
    assert (site.delete.mode, site.delete.max) == ("published", DeleteLimit(files=25))
    assert [(check.status, check.file) for check in site.verify] == [(200, None), (404, "a")]
    assert site.after[0].url == Secret("https://hooks.example/x")
    assert site.after[1].command == ("notify", "--now")
    assert site.bandwidth == 2 * 1024 * 1024
    assert site.schedule is not None
    assert (site.schedule.timezone, site.schedule.overlap) == ("Europe/Vilnius", "queue")
    assert site.chmod is not None
    assert (site.chmod.files, site.chmod.directories) == (0o644, 0o755)


def test_json_files_are_read_too(settings: Settings) -> None:
    write('{\n\t"ftp": {"host": "h.example", "password": "\\ud83d\\ude00"}}', "shop.json")
    assert load_website("shop", settings, {}).ftp.password == Secret("😀")


def test_a_relative_ca_file_starts_where_the_settings_paths_do(settings: Settings) -> None:
    site = read("ftp: {host: h.example, ca_file: config/ca.pem}", settings)
    assert site.ftp.ca_file == Path.cwd() / "config/ca.pem"


def test_websites_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        ftp().ftp.port = 3  # type: ignore[misc]
    assert hash(ftp()) == hash(ftp())


# The older key


def test_an_older_file_tries_tls_first(settings: Settings) -> None:
    site = read("website: {domain: x.example}\nhostinger: {username: u1}", settings)
    assert (site.ftp.host, site.ftp.username, site.ftp.security) == ("ftp.x.example", "u1", "auto")


def test_an_older_file_that_names_its_security_keeps_it(settings: Settings) -> None:
    text = "website: {domain: x.example}\nhostinger: {security: explicit}"
    assert read(text, settings).ftp.security == "explicit"


def test_the_defaults_can_forbid_plain_for_older_files(settings: Settings) -> None:
    Path("config/siteferry.yaml").write_text("defaults: {ftp: {security: explicit}}")
    strict = load_settings(None, {})
    assert read("hostinger: {host: h.example}", strict).ftp.security == "explicit"


def test_mistakes_in_an_older_file_are_told_with_the_older_key(settings: Settings) -> None:
    message = refused(f"hostinger:\n  host: h.example\n  port: {MARKED}", settings)
    assert message == "config/websites/shop.yaml:3: hostinger.port: must be a whole number"


def test_a_key_that_an_older_file_repeats_is_told_as_it_stands(settings: Settings) -> None:
    message = refused("hostinger:\n  host: h\n  port: 1\n  port: 2", settings)
    assert (
        message == "config/websites/shop.yaml:4: hostinger.port: stands here again; first in line 3"
    )


def test_the_older_and_the_newer_key_together_are_refused(settings: Settings) -> None:
    message = refused("ftp: {host: a}\nhostinger: {host: b}", settings)
    assert "shop.yaml:2: hostinger: stands beside `ftp`" in message


# Logins


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("${credential:shop/FTP_PASSWORD}", CredentialReference(None, "shop", "FTP_PASSWORD")),
        ("${credential:vault:a.b-c/K_1.x}", CredentialReference("vault", "a.b-c", "K_1.x")),
    ],
)
def test_a_login_may_be_a_reference(text: str, reference: CredentialReference) -> None:
    site = ftp(username=text, password=text)
    assert site.ftp.username == site.ftp.password == reference
    assert str(reference) == text


def test_variables_in_a_login_wait_for_the_worker(settings: Settings) -> None:
    site = read("ftp:\n  host: h\n  username: ${U}\n  password: ${P:-x}\n", settings, {"U": "now"})
    assert site.ftp.username == EnvironmentText("${U}")
    assert site.ftp.password == EnvironmentText("${P:-x}")


def test_variables_elsewhere_are_expanded_when_the_file_is_read(settings: Settings) -> None:
    text = "ftp: {host: '${H}', port: '${P:-2121}', verify: '${V}'}\nexclude: ['a$${b}']\n"
    site = read(text, settings, {"H": "h.example", "V": "false"})
    assert (site.ftp.host, site.ftp.port, site.ftp.verify) == ("h.example", 2121, False)
    assert site.exclude == ("a${b}",)


@pytest.mark.parametrize(
    "text",
    [
        f"${{credential:{MARKED}}}x",
        "${credential:}",
        "${credential:a}",
        "${credential:a/b/c}",
        "${credential:-a/b}",
        "${credential:A:b/c}",
        "${credential:a:b:c/d}",
    ],
)
def test_a_badly_formed_reference_is_refused(text: str, settings: Settings) -> None:
    message = refused(f"ftp:\n  host: h\n  password: {text}\n", settings)
    assert "shop.yaml:3: ftp.password: must be ${credential:SITE/KEY}" in message


def test_no_print_or_dump_of_a_website_holds_a_secret() -> None:
    for password in (MARKED, f"${{PW:-{MARKED}}}", f"{MARKED}${{PW}}"):
        site = website_from_mapping(
            {
                "website": {"name": "shop"},
                "ftp": {"host": "h.example", "username": "u1", "password": password},
                "after": [f"https://hooks.example/{MARKED}"],
            },
            "test",
            environ={},
        )
        shown = [repr(site), str(site), str(site.model_dump()), site.model_dump_json()]
        shown += [account(site), target(site), repr(site.ftp.password), str(site.ftp.password)]
        assert [text for text in shown if MARKED in text] == []
        assert json.loads(site.model_dump_json())["ftp"]["username"] == "u1"


# Names


@pytest.mark.parametrize(
    ("keys", "name"),
    [
        ({"username": "u1", "host": "FTP.Example.com"}, "u1@ftp.example.com:21"),
        ({"username": "u1", "security": "implicit"}, "u1@ftp.example.com:990"),
        ({"username": "u1", "host": "2001:db8::7"}, "u1@[2001:db8::7]:21"),
        ({}, "${credential:shop/FTP_USERNAME}@ftp.example.com:21"),
        ({"username": "${credential:vault:a/B}"}, "${credential:vault:a/B}@ftp.example.com:21"),
        ({"username": "a_${U}"}, "a_${U}@ftp.example.com:21"),
    ],
)
def test_an_account_is_a_user_on_a_host(keys: dict[str, str], name: str) -> None:
    assert account(ftp(**keys)) == name


@pytest.mark.parametrize(
    ("remote_dir", "path"),
    [
        ("/", "/"),
        ("/www/", "/www"),
        ("//www///a/./b", "/www/a/b"),
        ("www", "/www"),
        (".", "/"),
        ("./www", "/www"),
    ],
)
def test_a_target_is_an_account_and_a_directory(remote_dir: str, path: str) -> None:
    site = ftp(username="u1", remote_dir=remote_dir)
    assert target(site) == f"u1@ftp.example.com:21{path}"


@pytest.mark.parametrize(
    ("text", "published", "allowed"),
    [
        ("10%", 99, 10),
        ("10%", 3, 1),
        ("0%", 99, 0),
        ("100%", 99, 99),
        ("2.5 %", 1000, 25),
        (7, 99, 7),
        ("7", 3, 7),
    ],
)
def test_a_delete_limit_is_a_number_or_a_share(
    text: str | int, published: int, allowed: int
) -> None:
    limit = DeleteLimit.parse(text)
    assert limit is not None
    assert limit.allowed(published) == allowed


@pytest.mark.parametrize("text", ["", "x", "101%", "-1", -1, "1.5", True, "10 %%"])
def test_what_is_no_delete_limit_is_none(text: str | int) -> None:
    assert DeleteLimit.parse(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "* * * * *",
        "0 0 1 1 0",
        "*/15 1-5/2 1,2,31 JAN-mar 7",
        "59 23 31 dec sun",
        "0 3 * * mon-fri",
        "0 0 l * 5L",
        "0 0 29 2 *",
    ],
)
def test_cron_expressions_are_known(text: str) -> None:
    assert cron_fault(text) is None


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("* * * *", "five fields"),
        ("@daily", "five fields"),
        ("60 * * * *", "minute"),
        ("* 24 * * *", "hour"),
        ("* * 0 * *", "day of the month"),
        ("* * * 13 *", "month"),
        ("* * * * mun", "day of the week"),
        ("*/0 * * * *", "minute"),
        ("5-1 * * * *", "minute"),
        ("1,,2 * * * *", "minute"),
        ("0 * * * * *", "five fields"),
        ("9" * 5000 + " * * * *", "five fields"),
        ("0 0 31 2 *", "never comes"),
        ("0 0 */30 2 mon#5", "never comes"),
    ],
)
def test_a_wrong_cron_expression_is_told_by_its_field(text: str, part: str) -> None:
    assert part in (cron_fault(text) or "")
