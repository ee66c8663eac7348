"""What the other fixtures promise."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import wordpress
from tests.private_redis import RedisServer


def test_redis_keeps_its_data_over_a_restart_if_asked_to(redis_server: RedisServer) -> None:
    with redis_server.client() as client:
        assert client.dbsize() == 0
        client.set("key", "value")
        redis_server.restart()
        assert client.get("key") == b"value"
        redis_server.restart(keep=False)
        assert client.dbsize() == 0


def test_redis_comes_back_empty_for_the_next_test(redis_server: RedisServer) -> None:
    with redis_server.client() as client:
        assert client.dbsize() == 0
        client.set("key", "value")
    redis_server.stop()
    assert not redis_server.running()


def test_an_ordinary_user_is_bound_by_permissions(
    as_ordinary_user: Callable[..., Any], open_folder: Path
) -> None:
    closed = open_folder / "closed"
    closed.write_text("secret")
    closed.chmod(0)
    (open_folder / "open").write_text("public")
    assert as_ordinary_user((open_folder / "open").read_text) == "public"
    with pytest.raises(PermissionError):
        as_ordinary_user(closed.read_text)
    assert as_ordinary_user(os.geteuid) != 0


def test_the_wordpress_tree_has_no_links(wordpress_tree: Path) -> None:
    below = list(wordpress_tree.rglob("*"))
    assert not any(path.is_symlink() for path in below)
    assert sum(path.is_file() for path in below) == wordpress.FILES
    assert sum(path.is_dir() for path in below) + 1 == wordpress.DIRECTORIES
    assert (wordpress_tree / "wp-includes" / "version.php").is_file()
