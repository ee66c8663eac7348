"""The way of a password: from an old file into a store, and from one store to another, with the
real command and a real server. Vault is a wire double."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from siteferry.credentials import variable_name
from tests.installation import Installation, Outcome, tree_of, write_tree
from tests.servers.base import FtpServer
from tests.stores.vault_double import VaultDouble

OLD = """\
# The shop, as it has been for years.
hostinger:
  host: {host}
  port: {port}
  username: {user}   # from the panel
  password: '{password}'
  remote_dir: {remote}
  security: none
"""


@pytest.fixture
def vault_double() -> Iterator[VaultDouble]:
    double = VaultDouble()
    yield double
    double.stop()


@pytest.fixture
def installation(tmp_path: Path, vault_double: VaultDouble) -> Installation:
    """Everything is set up for every store beforehand; which one counts is said by the selection
    alone. The home directory is empty."""
    (tmp_path / "home").mkdir()
    made = Installation(tmp_path / "installation", environment={"HOME": str(tmp_path / "home")})
    token = tmp_path / "vault-token"
    token.write_text(vault_double.grant(3600))
    made.configure(
        credentials={
            "mounted": {"directory": str(tmp_path / "secrets")},
            "vault": {"url": vault_double.url, "token_file": str(token)},
        }
    )
    return made


def old_site(installation: Installation, server: FtpServer) -> Path:
    file = installation.folder / "config/websites/shop.yaml"
    file.write_text(
        OLD.format(
            host=server.host,
            port=server.port,
            user=server.user,
            password=server.password,
            remote=f"{server.remote_root.rstrip('/')}/public_html",
        )
    )
    write_tree(
        installation.folder / "workspaces/shop/output", {"index.html": "home", "css/a.css": "a {}"}
    )
    return file


def with_input(installation: Installation, arguments: Sequence[str], given: str) -> Outcome:
    done = subprocess.run(
        installation.argv(*arguments),
        env=installation.env(),
        input=given,
        capture_output=True,
        text=True,
        cwd=installation.folder,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def assert_publishes(
    installation: Installation, server: FtpServer, page: str, *selection: str
) -> Outcome:
    source = installation.folder / "workspaces/shop/output"
    (source / "index.html").write_text(page)
    result = installation.run(*selection, "import", "shop", "--json", "--quiet")
    assert result.code == 0, result.output
    assert result.json["stats"]["failed"] == 0
    assert tree_of(server.root / "public_html") == tree_of(source)
    assert server.password not in result.output
    return result


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_plain_password_goes_into_a_store_and_only_the_selection_changes_from_then_on(
    pyftpd_server: FtpServer,
    installation: Installation,
    vault_double: VaultDouble,
    tmp_path: Path,
) -> None:
    server = pyftpd_server
    file = old_site(installation, server)

    # As it is: it works, and says what to do.
    first = assert_publishes(installation, server, "as it was")
    (warning,) = (w for w in first.json["warnings"] if "password" in w)
    assert "siteferry credential migrate shop" in warning

    dry = installation.run("credential", "migrate", "shop", "--dry-run")
    assert (dry.code, server.password in file.read_text()) == (0, True)
    migrated = installation.run("credential", "migrate", "shop")
    assert migrated.code == 0, migrated.output
    assert server.password not in migrated.output + file.read_text()
    assert file.read_text() == OLD.format(
        host=server.host,
        port=server.port,
        user='"${credential:shop/FTP_USERNAME}"',
        password="@",
        remote=f"{server.remote_root.rstrip('/')}/public_html",
    ).replace("'@'", '"${credential:shop/FTP_PASSWORD}"')
    written = file.read_text()

    # file, the default
    second = assert_publishes(installation, server, "from the encrypted file")
    assert not [w for w in second.json["warnings"] if "password" in w]
    assert installation.run("credential", "list").stdout.split()[-2:] == [
        "shop/FTP_PASSWORD",
        "shop/FTP_USERNAME",
    ]
    tested = installation.run("credential", "test", "shop", "--json")
    assert (tested.code, tested.json["ok"], tested.json["store"]) == (0, True, "file")

    # environment
    login = {"FTP_USERNAME": server.user, "FTP_PASSWORD": server.password}
    for key, value in login.items():
        installation.environment[variable_name("shop", key)] = value
    assert_publishes(
        installation, server, "from the environment", "--credential-backend", "environment"
    )
    for key in login:
        del installation.environment[variable_name("shop", key)]

    # mounted, selected by the variable
    for key, value in login.items():
        write_tree(tmp_path / "secrets", {f"shop/{key}": f"{value}\n"})
    installation.environment["SITEFERRY_CREDENTIAL_BACKEND"] = "mounted"
    assert_publishes(installation, server, "from mounted secrets")
    del installation.environment["SITEFERRY_CREDENTIAL_BACKEND"]

    # vault, written by the command itself
    vault = ("--credential-backend", "vault")
    for key, value in login.items():
        added = with_input(installation, [*vault, "credential", "add", "shop", key], f"{value}\n")
        assert added.code == 0, added.output
    assert_publishes(installation, server, "from the vault's wire double", *vault)
    assert file.read_text() == written

    # And nowhere else is there one.
    refused = installation.run("--credential-backend", "mounted", "credential", "add", "shop")
    assert refused.code == 3
    left = [
        path
        for path in installation.folder.rglob("*")
        if path.is_file() and server.password.encode() in path.read_bytes()
    ]
    assert left == []


def test_a_password_is_added_tested_and_removed_without_being_shown(
    pyftpd_server: FtpServer, installation: Installation
) -> None:
    old_site(installation, pyftpd_server)
    file = installation.folder / "config/websites/shop.yaml"
    file.write_text(
        "\n".join(line for line in file.read_text().splitlines() if "password" not in line)
    )
    missing = installation.run("credential", "test", "shop")
    assert missing.code == 3
    assert "siteferry credential add shop FTP_PASSWORD" in missing.output
    add = ["credential", "add", "shop"]
    added = with_input(installation, add, f"{pyftpd_server.password}\n")
    assert (added.code, added.stdout) == (0, "shop/FTP_PASSWORD is in the store file\n")
    assert "keep a copy" in added.stderr
    store = installation.folder / "credentials/store.json"
    assert store.stat().st_mode & 0o777 == 0o600
    assert (installation.folder / "credentials").stat().st_mode & 0o777 == 0o700
    assert installation.run("credential", "test", "shop").code == 0
    assert "keep a copy" not in with_input(installation, add, "Wrong-Ferry-0000\n").stderr
    wrong = installation.run("credential", "test", "shop")
    assert wrong.code == 3
    assert "530" in wrong.output
    assert installation.run("credential", "list", "--json").json == [
        {"site": "shop", "key": "FTP_PASSWORD"}
    ]
    assert installation.run("credential", "rotate-key").code == 0
    assert installation.run("credential", "rotate-key", "--drop-old").code == 2
    assert installation.run("credential", "rotate-key", "--drop-old", "--yes").code == 0
    assert installation.run("credential", "test", "shop").code == 3
    assert installation.run("credential", "remove", "shop").code == 0
    assert installation.run("credential", "remove", "shop").code == 3
    for path in (installation.folder / "credentials").rglob("*"):
        if path.is_file():
            assert pyftpd_server.password.encode() not in path.read_bytes()


def test_a_value_cannot_be_given_as_an_argument(installation: Installation) -> None:
    refused = installation.run("credential", "add", "shop", "FTP_PASSWORD", "Marked-Tide-1122")
    assert refused.code == 2
    assert installation.run("credential", "list").stdout == ""


@pytest.mark.parametrize(
    ("form", "line"),
    [
        ("docker", "SITEFERRY_CRED_SHOP_FTP_PASSWORD="),
        ("compose", "secrets: [SITEFERRY_CRED_SHOP_FTP_PASSWORD]"),
        ("compose-env", "SITEFERRY_CRED_SHOP_FTP_PASSWORD=''"),
        ("kubernetes", '  SITEFERRY_CRED_SHOP_FTP_PASSWORD: ""  # shop/FTP_PASSWORD'),
    ],
)
def test_containers_are_told_the_names_that_they_need_and_no_value(
    installation: Installation, form: str, line: str
) -> None:
    write_tree(installation.folder, {"config/websites/shop.yaml": "ftp: {host: h, username: u1}"})
    with_input(installation, ["credential", "add", "shop"], "Marked-Tide-1122\n")
    told = installation.run("credential", "env", "shop", "--format", form)
    assert line in told.stdout.splitlines()
    assert "FTP_USERNAME" not in told.stdout
    assert "Marked" not in told.output


def test_what_a_program_calls_does_what_the_commands_do(installation: Installation) -> None:
    program = """
from siteferry import (delete_credential, get_credential, list_credentials,
    migrate_from_config, store_credential)
from siteferry.errors import CredentialAbsent
store_credential("shop", "FTP_PASSWORD", "Tide-1")
store_credential("shop", "FTP_PASSWORD", "Tide-2")
print(get_credential("shop", "FTP_PASSWORD"), get_credential("shop", "FTP_PASSWORD").reveal())
print([str(entry) for entry in list_credentials()], migrate_from_config(dry_run=True))
delete_credential("shop", "FTP_PASSWORD")
try:
    get_credential("shop", "FTP_PASSWORD")
except CredentialAbsent as error:
    print(error)
"""
    done = subprocess.run(
        [installation.argv()[0], "-c", program],
        env={
            **installation.env(),
            "SITEFERRY_CONFIG": str(installation.folder / "config/siteferry.yaml"),
        },
        capture_output=True,
        text=True,
        cwd=installation.folder,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:2] == ["**redacted** Tide-2", "['shop/FTP_PASSWORD'] []"]
    assert "siteferry credential add shop FTP_PASSWORD" in lines[2]
