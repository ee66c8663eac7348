"""The table of other clients' failures names tests that exist, and leaves none of them out."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FAILURES = 43
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
NOT_TESTED = ("not yet: ", "does not apply: ")
PEERS_FILES = ("test_peers_failures.py", "test_peers_lost_sessions.py")


def rows() -> list[tuple[str, str]]:
    """Number and last cell of each row."""
    found = re.findall(
        r"^\| (\d+) \| [^|]+ \| ([^|]+) \|$", (ROOT / "docs/peers.md").read_text(), re.MULTILINE
    )
    return [(number, where) for number, where in found]


def named_tests(path: str) -> dict[str, str]:
    """Name and docstring of each test of a file."""
    module = ast.parse((ROOT / path).read_text())
    return {
        node.name: ast.get_docstring(node) or ""
        for node in ast.walk(module)
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def test_every_failure_has_its_row() -> None:
    assert [number for number, _ in rows()] == [str(n) for n in range(1, FAILURES + 1)]


@pytest.mark.parametrize("row", rows(), ids=[number for number, _ in rows()])
def test_every_row_names_tests_that_exist_or_says_why_there_is_none(row: tuple[str, str]) -> None:
    _, where = row
    named = TEST.findall(where)
    assert named or where.startswith(NOT_TESTED), where
    assert where.count("::") == len(named), f"a test is written in another way: {where}"
    for path, name in named:
        assert (ROOT / path).exists(), path
        assert name in named_tests(path), f"{path} has no {name}"


def test_every_test_of_a_peers_failure_stands_in_the_rows_that_it_names() -> None:
    """Their docstrings begin with the numbers: "15, 16: ..."."""
    table = dict(rows())
    for file in PEERS_FILES:
        path = f"tests/acceptance/{file}"
        for name, docstring in named_tests(path).items():
            numbers = re.match(r"(\d+(?:, \d+)*): ", docstring)
            assert numbers is not None, f"{name} names no failure"
            for number in numbers[1].split(", "):
                assert f"`{path}::{name}`" in table[number], f"{name} is missing in row {number}"
