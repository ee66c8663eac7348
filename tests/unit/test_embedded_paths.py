"""Where the private server keeps its files, and whom it lets near them."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from siteferry.embedded.paths import (
    SOCKET_PATH_BYTES,
    ServerPaths,
    choose_socket,
    private_directory,
    record_socket,
    recorded_socket,
)
from siteferry.errors import ConfigurationError

NOBODY = 65534


@pytest.fixture
def short_dir() -> Iterator[Path]:
    """A directory of ours with a short name (pytest's own are named after the test)."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        yield Path(name).resolve()


def deep(below: Path) -> Path:
    """A state directory whose socket path would be too long for the kernel."""
    return below / ("d" * SOCKET_PATH_BYTES)


def test_the_socket_lies_in_the_state_directory_where_its_path_is_short(short_dir: Path) -> None:
    environ = {"XDG_RUNTIME_DIR": str(short_dir)}
    assert choose_socket(short_dir / "state", environ) == short_dir / "state" / "redis.sock"


def test_a_socket_path_that_is_too_long_moves_to_the_runtime_directory(short_dir: Path) -> None:
    socket = choose_socket(deep(short_dir), {"XDG_RUNTIME_DIR": str(short_dir)})
    assert socket.parent.parent == short_dir
    assert socket.parent.name.startswith("siteferry-")
    assert len(os.fsencode(socket)) <= SOCKET_PATH_BYTES


def test_without_a_runtime_directory_the_socket_moves_to_tmp_under_the_users_number(
    short_dir: Path,
) -> None:
    socket = choose_socket(deep(short_dir), {})
    assert socket.parent.parent == Path("/tmp")
    assert socket.parent.name.startswith(f"siteferry-{os.geteuid()}-")


def test_a_runtime_directory_that_others_may_write_is_not_used(short_dir: Path) -> None:
    runtime = short_dir / "run"
    runtime.mkdir()
    runtime.chmod(0o777)
    socket = choose_socket(deep(short_dir), {"XDG_RUNTIME_DIR": str(runtime)})
    assert socket.parent.parent == Path("/tmp")


def test_a_missing_or_relative_runtime_directory_is_not_used(
    short_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(short_dir)
    for runtime in (str(short_dir / "missing"), "."):
        socket = choose_socket(deep(short_dir), {"XDG_RUNTIME_DIR": runtime})
        assert socket.parent.parent == Path("/tmp"), runtime


def test_a_path_that_a_url_would_have_to_quote_is_not_used_for_the_socket(short_dir: Path) -> None:
    for name in ("my state", "50%", "a#b", "straße"):
        socket = choose_socket(short_dir / name, {"XDG_RUNTIME_DIR": str(short_dir)})
        assert socket.parent.parent == short_dir, name
        assert socket.parent.name.startswith("siteferry-"), name


def test_two_state_directories_never_share_a_socket(short_dir: Path) -> None:
    environ = {"XDG_RUNTIME_DIR": str(short_dir)}
    first = choose_socket(deep(short_dir / "a"), environ)
    second = choose_socket(deep(short_dir / "b"), environ)
    assert first != second


def test_a_link_to_the_state_directory_leads_to_the_same_files(short_dir: Path) -> None:
    (short_dir / "state").mkdir()
    (short_dir / "link").symlink_to("state")
    assert ServerPaths.of(short_dir / "link") == ServerPaths.of(short_dir / "state")


def test_a_private_directory_is_made_with_its_parents_closed_to_others(tmp_path: Path) -> None:
    private_directory(tmp_path / "a" / "b")
    for made in (tmp_path / "a", tmp_path / "a" / "b"):
        assert stat.S_IMODE(made.stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o750, 0o701, 0o755, 0o777])
def test_a_directory_that_is_open_to_others_is_refused_with_the_command_that_closes_it(
    tmp_path: Path, mode: int
) -> None:
    tmp_path.chmod(mode)
    with pytest.raises(ConfigurationError, match=f"mode {mode:04o}") as caught:
        private_directory(tmp_path)
    assert f"chmod 700 {tmp_path}" in caught.value.next_step


def test_a_directory_of_another_user_is_refused(tmp_path: Path) -> None:
    foreign = tmp_path
    if os.geteuid() == 0:
        os.chown(foreign, NOBODY, NOBODY)
    else:
        foreign = Path("/usr")
    with pytest.raises(ConfigurationError, match="belongs to another user"):
        private_directory(foreign)


def test_a_link_in_place_of_a_private_directory_is_refused(tmp_path: Path) -> None:
    private_directory(tmp_path / "real")
    (tmp_path / "link").symlink_to("real")
    with pytest.raises(ConfigurationError, match="is not a directory"):
        private_directory(tmp_path / "link")


def test_a_private_directory_below_a_file_cannot_be_made_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="cannot be made: Not a directory"):
        private_directory(tmp_path / "file" / "state")


def test_a_recorded_socket_is_given_back(short_dir: Path) -> None:
    paths = ServerPaths.of(short_dir)
    assert recorded_socket(paths) is None
    for environ in ({}, {"XDG_RUNTIME_DIR": str(short_dir)}):
        socket = choose_socket(paths.state, environ)
        record_socket(paths, socket)
        assert recorded_socket(paths) == socket


def test_the_record_in_a_copy_of_a_state_directory_is_not_believed(short_dir: Path) -> None:
    """Else the copy's commands would join, and end, the server of the original."""
    for name in ("original", deep(Path()).name):
        original = ServerPaths.of(short_dir / name)
        copied = ServerPaths.of(short_dir / f"{name}-copy")
        for paths in (original, copied):
            private_directory(paths.state)
        record_socket(original, choose_socket(original.state, {}))
        original.address.rename(copied.address)
        assert recorded_socket(copied) is None, name


@pytest.mark.parametrize("text", ["", "\n", "redis.sock", "/" + "x" * 300, "/etc/redis.sock"])
def test_a_damaged_record_is_not_believed(short_dir: Path, text: str) -> None:
    paths = ServerPaths.of(short_dir)
    paths.address.write_text(text)
    assert recorded_socket(paths) is None
