"""A fleet of siteferry's with Flower before it, as an operator has it: a Redis with its users, two
workers, a host that refuses some files, `siteferry flower` below a path; and a browser."""

from __future__ import annotations

import json
import shutil
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from tests.acceptance.test_two_workers import wait_for_workers
from tests.holdings import wait_until as wait_until
from tests.installation import Installation, write_tree
from tests.private_redis import RedisServer
from tests.security.redis_users import PASSWORDS, login, redis_with_users
from tests.servers.base import FtpServer
from tests.servers.ports import HOST, PortBlock
from tests.servers.wire import WireProxy
from tests.servers.wire_faults import CutControl, SayInstead

PRODUCER, WORKER, FLOWER = (f"siteferry-{of}" for of in ("producer", "worker", "flower"))
USER = "operator"
WORD = "Lamp/Flower: Öre-5521"
"""Flower's password. It is no ASCII, and changes its looks in a URL, in JSON and in a header."""
PREFIX = "tools/flower"
ODD_FILE = '<img src=x onerror="document.title=1">&.txt'
REFUSAL = "553 Could not create file."
DIRECTORIES = ("blog/2024", "blog/2025", "img/gallery", "shop/assets", "wp-content/uploads/2024")


@dataclass
class World:
    """installation: its commands run as the producer. root: Flower's address, with the path."""

    installation: Installation
    redis: RedisServer
    wire: WireProxy
    port: int
    flower: int
    """Its process."""
    slow: str = ""
    """A run that is under way."""

    @property
    def root(self) -> str:
        return f"http://{HOST}:{self.port}/{PREFIX}"

    def get(
        self, path: str, user: str | None = USER, word: str = WORD, method: str = "GET"
    ) -> tuple[int, str]:
        """Status and text of a page, or of an answer of the API; `user` None: without a login."""
        request = urllib.request.Request(f"http://{HOST}:{self.port}{path}", method=method)
        if user is not None:
            code = b64encode(f"{user}:{word}".encode()).decode()
            request.add_header("Authorization", f"Basic {code}")
        try:
            with urllib.request.urlopen(request, timeout=20) as reply:  # noqa: S310  # ours
                return int(reply.status), reply.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return int(error.code), error.read().decode()

    def shown(self, path: str) -> str:
        """What a page below the prefix says to who has logged in."""
        status, text = self.get(f"/{PREFIX}{path}")
        assert status == 200, f"{path}: {status}: {text[:500]}"
        return text

    def tasks(self, site: str) -> dict[str, dict[str, Any]]:
        """What the API says of the tasks of a website."""
        found = json.loads(self.shown("/api/tasks"))
        return {uuid: task for uuid, task in found.items() if f"[{site}]" in task["name"]}

    def logs(self) -> bytes:
        folder = self.installation.folder
        return b"".join(path.read_bytes() for path in folder.glob("*.log"))

    def add_site(self, name: str, files: dict[str, str | bytes], **website: object) -> None:
        source = self.installation.add_site(
            self.wire.server,
            name,
            remote=name,
            **website,  # type: ignore[arg-type]
        )
        write_tree(source, files)


def website_files(of_each: int = 12, size: int = 20_000) -> dict[str, str | bytes]:
    files: dict[str, str | bytes] = {
        f"{directory}/page-{number:02}.html": f"<p>{number}</p>\n".encode() * (size // 12)
        for directory in DIRECTORIES
        for number in range(of_each)
    }
    return files | {"index.html": "<h1>Example</h1>", "media/film.mp4": b"film" * 300_000}


@contextmanager
def flower_world(
    server: FtpServer, redis_binary: str, folder: Path, **flower: object
) -> Iterator[World]:
    """Everything runs. Faults of the host are injected into `wire`; the websites are `example`,
    `bakery`, `odd`, which has ODD_FILE, and `slow`, which takes minutes."""
    word_file = folder / "page.password"
    word_file.write_text(f"{WORD}\n")
    word_file.chmod(0o600)
    with ExitStack() as stack:
        redis = stack.enter_context(redis_with_users(redis_binary, folder))
        wire = stack.enter_context(WireProxy(server))
        ports = PortBlock()
        stack.callback(ports.release)
        installation = Installation(folder / "installation")
        installation.configure(
            batch={"files": 12},
            flower={"port": ports.control, "url_prefix": PREFIX, "user": USER, **flower},
        )
        world = World(installation, redis, wire, ports.control, 0)
        world.add_site("example", website_files())
        world.add_site("bakery", website_files(4))
        world.add_site("odd", {ODD_FILE: "odd"})
        world.add_site("slow", {"film.mp4": b"x" * 30_000_000}, bandwidth="20k")
        login(installation, redis, FLOWER)
        installation.environment["SITEFERRY_FLOWER_PASSWORD_FILE"] = str(word_file)
        world.flower = stack.enter_context(installation.process("flower")).pid
        del installation.environment["SITEFERRY_FLOWER_PASSWORD_FILE"]
        login(installation, redis, WORKER)
        # Flower alone switches their events on, before them or after them.
        stack.enter_context(installation.process("worker", "--concurrency", "4"))
        wait_until(lambda: answers(world), "Flower does not answer")
        stack.enter_context(installation.process("worker", "--concurrency", "4"))
        login(installation, redis, PRODUCER)
        wait_for_workers(redis, 2)
        wait_until(lambda: world.shown("/workers?json=1").count("siteferry@") >= 2, "no workers")
        wait_until(lambda: events_are_on(world), "the workers send no events of tasks")
        yield world


def events_are_on(world: World) -> bool:
    """Flower asks for them every five seconds. Nothing tells that they are on but a task; one that
    no ledger knows does nothing."""
    from siteferry.broker import make_broker
    from siteferry.run import Member
    from siteferry.secret import Secret

    broker = make_broker(world.redis.tcp_url, username=WORKER, password=Secret(PASSWORDS[WORKER]))
    stamp = f"ping-{time.monotonic_ns()}"
    broker.send([Member(stamp, f"plan-{number}", 1) for number in range(8)])
    broker.app.close()
    time.sleep(0.5)
    return world.shown("/api/tasks?search=ping").count(stamp) >= 8


def answers(world: World) -> bool:
    try:
        return world.get(f"/{PREFIX}/healthcheck", user=None) == (200, "OK")
    except (urllib.error.URLError, ConnectionError):
        return False


def refuse_some_files(wire: WireProxy) -> None:
    """Three files are refused for good; one connection breaks, which is tried again."""
    for number in (20, 21, 40):
        wire.faults.inject(SayInstead("STOR", REFUSAL, number=number))
    wire.faults.inject(CutControl("STOR", number=30))


def chromium() -> str | None:
    """Debian's browser, or another one of that name on the PATH."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


@contextmanager
def browser() -> Iterator[Browser]:
    """A headless Chromium. As root it has no sandbox of its own; it sees our own pages only."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"]
        )
        yield started
        started.close()
