"""What a careful program would do with ftputil and nothing else, to compare with.

    python -m benchmarks.ftputil_threads < job.json      the job: see benchmarks/engine.py

Directories are made first, one after the other. Then each thread has a connection and a fixed share
of the files; for each file it looks whether it is there and how old it is, whether a temporary file
was left over, uploads to a temporary name and renames. What fails for the moment is tried again:
two sessions may come upon the same data port, and one then gets a 425.
"""

from __future__ import annotations

import ftplib
import json
import os
import sys
import warnings
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

with warnings.catch_warnings():
    # Said at import, about a default that is given explicitly below.
    warnings.simplefilter("ignore", DeprecationWarning)
    import ftputil
    import ftputil.error
    import ftputil.session


_TRIES = 5
_MOMENTARY = (ftputil.error.TemporaryError, ftputil.error.FTPIOError)


def connect(job: Mapping[str, Any]) -> ftputil.FTPHost:
    tls = bool(job["fingerprint"])
    factory = ftputil.session.session_factory(
        base_class=ftplib.FTP_TLS if tls else ftplib.FTP,
        port=job["port"],
        use_passive_mode=True,
        encrypt_data_channel=tls,
        encoding="UTF-8",
    )
    return ftputil.FTPHost(job["host"], job["username"], job["password"], session_factory=factory)


def send(host: ftputil.FTPHost, source: Path, target: str) -> None:
    for _ in range(_TRIES - 1):
        try:
            return send_once(host, source, target)
        except _MOMENTARY:
            continue
    return send_once(host, source, target)


def send_once(host: ftputil.FTPHost, source: Path, target: str) -> None:
    """One file, unless one that is as new is there."""
    if host.path.exists(target) and host.path.getmtime(target) >= source.stat().st_mtime:
        return
    temporary = f"{target}.part"
    if host.path.exists(temporary):
        host.remove(temporary)
    host.upload(str(source), temporary)
    host.rename(temporary, target)


def main() -> None:
    job = json.load(sys.stdin)
    tree = Path(job["tree"])
    found = [(Path(folder), names) for folder, _, names in os.walk(tree)]

    def remote(path: Path) -> str:
        return str(Path(job["remote_dir"], path.relative_to(tree)))

    with connect(job) as host:
        for folder, _ in sorted(found):
            host.makedirs(remote(folder), exist_ok=True)
    files = [folder / name for folder, names in found for name in names]
    threads = job["connections"]

    def work(number: int) -> None:
        with connect(job) as host:
            for source in files[number::threads]:
                send(host, source, remote(source))

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(threads)))


if __name__ == "__main__":
    try:
        main()
    except ftputil.error.FTPError as failed:
        sys.exit(f"{type(failed).__name__}: {str(failed).splitlines()[0]}")
