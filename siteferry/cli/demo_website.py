"""The example website of `siteferry demo`: small pages, assets, odd names, and one large file."""

from __future__ import annotations

import hashlib
from pathlib import Path

_PAGES = 240
_LARGE_BYTES = 12 * 1024 * 1024


def write_website(folder: Path) -> None:
    """Write some 300 files in some 30 directories; always the same bytes."""
    _write(folder / "index.html", "<!doctype html><title>siteferry</title><h1>It arrived.</h1>\n")
    _write(folder / ".htaccess", "Options -Indexes\n")
    _write(folder / "assets/style.css", "body { font-family: sans-serif }\n" * 40)
    _write(folder / "empty.txt", "")
    (folder / "uploads").mkdir(parents=True, exist_ok=True)
    for name in ("with space.html", "100% #1 'quoted' \"twice\".html", "ünïcödé – 日本語.html"):
        _write(folder / "odd names" / name, name)
    for number in range(_PAGES):
        body = hashlib.sha256(str(number).encode()).hexdigest() * (1 + number % 90)
        page = f"<!doctype html><title>{number}</title><p>{body}</p>\n"
        _write(folder / f"blog/{number // 10:02d}/page-{number}.html", page)
    seed = hashlib.sha256(b"siteferry").digest()
    (folder / "assets/film.bin").write_bytes(seed * (_LARGE_BYTES // len(seed)))


def digest_tree(folder: Path, without: str) -> dict[str, str]:
    """SHA-256 (hex) of every file below `folder` by its path, and `directory` for directories.

    Args:
        without: the name of a directory at the top that does not count.
    """
    found: dict[str, str] = {}
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if relative.parts[0] != without:
            found[str(relative)] = (
                "directory" if path.is_dir() else hashlib.sha256(path.read_bytes()).hexdigest()
            )
    return found


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
