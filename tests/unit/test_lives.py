"""Who starts in the place of a dead worker knows its name; a living one's is nobody's business."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from siteferry.dispatch.lives import begin_life, end_life
from siteferry.errors import LedgerUnreachable

LEDGER = "redis://127.0.0.1/0 siteferry:"


def begin(folder: Path, node: str, ledger: str = LEDGER) -> tuple[int, list[str]]:
    """The descriptor that holds the lock, and who was buried. To close the one is to die."""
    buried: list[str] = []
    held = begin_life(folder / "workers", ledger, node, buried.append)
    assert held is not None
    return held, buried


def test_the_first_worker_buries_nobody(tmp_path: Path) -> None:
    held, buried = begin(tmp_path, "one")
    assert buried == []
    os.close(held)


def test_who_comes_after_a_dead_one_buries_it_once(tmp_path: Path) -> None:
    os.close(begin(tmp_path, "a-name-longer-than-the-next")[0])
    held, buried = begin(tmp_path, "two")
    assert buried == ["a-name-longer-than-the-next"]
    os.close(held)
    held, buried = begin(tmp_path, "three")
    assert buried == ["two"]
    os.close(held)


def test_who_has_given_all_back_at_its_end_is_not_buried(tmp_path: Path) -> None:
    held, _ = begin(tmp_path, "one")
    end_life(held)
    os.close(held)
    held, buried = begin(tmp_path, "two")
    assert buried == []
    os.close(held)


def test_who_lives_is_not_buried(tmp_path: Path) -> None:
    one, _ = begin(tmp_path, "one")
    two, buried = begin(tmp_path, "two")
    assert buried == []
    assert len(list((tmp_path / "workers").iterdir())) == 2
    os.close(one)
    three, buried = begin(tmp_path, "three")
    assert buried == ["one"]
    os.close(two)
    os.close(three)


def test_one_that_comes_buries_all_that_have_died(tmp_path: Path) -> None:
    held = [begin(tmp_path, f"dead-{number}")[0] for number in range(3)]
    living, _ = begin(tmp_path, "living")
    for fd in held:
        os.close(fd)
    first, buried = begin(tmp_path, "next")
    assert buried == ["dead-0", "dead-1", "dead-2"]
    second, buried = begin(tmp_path, "one-more")
    assert buried == []
    for fd in (living, first, second):
        os.close(fd)


@pytest.mark.parametrize("other", ["redis://127.0.0.1/1 siteferry:", "redis://127.0.0.1/0 ours:"])
def test_workers_of_another_ledger_are_none_of_ours(tmp_path: Path, other: str) -> None:
    os.close(begin(tmp_path, "theirs", other)[0])
    held, buried = begin(tmp_path, "ours")
    assert buried == []
    os.close(held)


def refuse(_dead: str) -> None:
    raise LedgerUnreachable("Redis is away")


def test_a_dead_one_that_cannot_be_buried_now_is_left_to_others(tmp_path: Path) -> None:
    """The sweeper has the one whose file is taken; the others' names stay."""
    held = [begin(tmp_path, f"dead-{number}")[0] for number in range(2)]
    for fd in held:
        os.close(fd)
    first = begin_life(tmp_path / "workers", LEDGER, "one", refuse)
    assert first is not None
    second, buried = begin(tmp_path, "two")
    assert buried == ["dead-1"]
    os.close(first)
    os.close(second)


@pytest.mark.parametrize("content", [b"", b"\n", b"two words\n", b"\x00\xff", b"x" * 500])
def test_what_is_no_name_is_not_believed(tmp_path: Path, content: bytes) -> None:
    os.close(begin(tmp_path, "one")[0])
    (lock,) = (tmp_path / "workers").iterdir()
    lock.write_bytes(content)
    held, buried = begin(tmp_path, "two")
    assert buried == []
    assert lock.read_text() == "two\n"
    os.close(held)


def in_the_way(folder: Path) -> None:
    (folder / "workers").write_text("")


def open_to_others(folder: Path) -> None:
    (folder / "workers").mkdir()
    (folder / "workers").chmod(0o777)


@pytest.mark.parametrize("spoil", [in_the_way, open_to_others])
def test_without_a_folder_of_its_own_a_worker_starts_and_says_so(
    spoil: Callable[[Path], None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spoil(tmp_path)
    assert begin_life(tmp_path / "workers", LEDGER, "one", refuse) is None
    assert "no lock file" in caplog.text
