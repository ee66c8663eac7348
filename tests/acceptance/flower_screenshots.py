"""The pictures of docs/flower.md, taken anew: `make screenshots` (needs Chromium).

Real runs of two websites on a server that refuses some files; one more is under way.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page

from tests.flower_world import (
    USER,
    WORD,
    World,
    browser,
    chromium,
    flower_world,
    refuse_some_files,
    wait_until,
)
from tests.installation import REPOSITORY
from tests.private_redis import redis_binary
from tests.servers.pyftpd import PyFtpd

IMAGES = REPOSITORY / "docs/images"
_WIDTH, _HEIGHT = 1280, 760


def main() -> int:
    binary = redis_binary()
    if binary is None or chromium() is None:
        sys.stderr.write("Redis and Chromium must be installed (Debian: apt install chromium)\n")
        return 1
    IMAGES.mkdir(exist_ok=True)
    server = PyFtpd().start()
    try:
        with (
            tempfile.TemporaryDirectory() as folder,
            flower_world(server, binary, Path(folder)) as world,
        ):
            _carry(world)
            with browser() as chrome:
                login = {"username": USER, "password": WORD}
                context = chrome.new_context(
                    http_credentials=login,  # type: ignore[arg-type]
                    viewport={"width": _WIDTH, "height": _HEIGHT},
                )
                _take(context.new_page(), world)
    finally:
        server.remove()
    return 0


def _carry(world: World) -> None:
    run = world.installation.run
    run("import", "bakery", "--quiet")
    refuse_some_files(world.wire)
    run("import", "example", "--quiet")
    world.wire.faults.clear()
    run("import", "slow", "--detach")

    def goes_on() -> bool:
        tasks = world.tasks("slow").values()
        return any(task["state"] == "STARTED" and "film" in task["args"] for task in tasks)

    wait_until(goes_on, "the slow run does not begin")


def _take(page: Page, world: World) -> None:
    page.goto(f"{world.root}/tasks")
    page.wait_for_load_state("networkidle")
    page.screenshot(path=IMAGES / "flower-tasks.png")
    page.fill("#tasks-table_filter input", "example state:FAILURE")
    page.wait_for_load_state("networkidle")
    page.locator("#tasks-table tbody a[href*='/task/']").first.click()
    page.wait_for_url("**/task/**")
    page.screenshot(path=IMAGES / "flower-task-failed.png", full_page=True)
    page.goto(f"{world.root}/workers")
    page.wait_for_selector("#workers-table .bg-success")
    page.screenshot(
        path=IMAGES / "flower-workers.png",
        clip={"x": 0, "y": 0, "width": _WIDTH, "height": 620},
    )


if __name__ == "__main__":
    sys.exit(main())
