"""Flower as an operator sees it: `siteferry flower` in a real browser, while runs are under way."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from flower.urls import handlers
from playwright.sync_api import Browser, Page, expect
from playwright.sync_api import Error as BrowserError

from tests.conftest import unavailable
from tests.flower_world import (
    ODD_FILE,
    PREFIX,
    REFUSAL,
    USER,
    WORD,
    World,
    browser,
    chromium,
    flower_world,
    refuse_some_files,
    wait_until,
)
from tests.private_redis import redis_binary
from tests.security.redis_users import PASSWORDS
from tests.security.test_marked_password import (
    assert_unmarked,
    command_lines,
    everything_in,
    watched,
)
from tests.servers.base import PASSWORD, FtpServer

MARKS = [PASSWORD, *PASSWORDS.values(), WORD, f"{USER}:{WORD}"]
SECONDS = 1000.0  # of the browser's waiting

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@dataclass
class Visit:
    """A browser that has logged in, and the text of all that it was shown."""

    world: World
    page: Page
    seen: list[str] = field(default_factory=list)

    def open(self, path: str) -> None:
        self.page.goto(self.world.root + path)
        self.page.wait_for_load_state("networkidle" if path == "/tasks" else "load")

    def look(self) -> str:
        """What the page shows now; all of its HTML is kept."""
        self.seen.append(self.page.content())
        return self.page.inner_text("body")

    def rows(self, search: str) -> list[list[str]]:
        """The cells of the list of tasks after a search, the newest tasks first."""
        self.page.wait_for_load_state("networkidle")
        # The table is drawn some time after the answer has come.
        self.page.evaluate(
            "() => { window.drawn = false;"
            " $('#tasks-table').one('draw.dt', () => { window.drawn = true; }); }"
        )
        self.page.fill("#tasks-table_filter input", search)
        self.page.wait_for_function("() => window.drawn")
        rows: list[list[str]] = self.page.eval_on_selector_all(
            "#tasks-table tbody tr", "rows => rows.map(r => [...r.cells].map(c => c.innerText))"
        )
        self.look()
        return rows


@pytest.fixture(scope="module")
def world(
    pyftpd: Callable[..., FtpServer], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """Three websites have been carried: `bakery` whole, `example` with refused files, `odd`."""
    binary = redis_binary()
    if binary is None or chromium() is None:
        unavailable("Redis, or Chromium (Debian: apt install chromium), is not installed")
    server = pyftpd()
    with flower_world(server, binary, tmp_path_factory.mktemp("flower")) as running:
        run = running.installation.run
        assert run("import", "bakery", "--quiet").code == 0
        refuse_some_files(running.wire)
        assert run("import", "example", "--quiet").code == 1
        running.wire.faults.clear()
        assert run("import", "odd", "--quiet").code == 0
        running.slow = run("import", "slow", "--detach").stdout.strip()
        wait_until(lambda: running.tasks("odd"), "Flower has not heard of the last run")
        yield running
    server.remove()


@pytest.fixture(scope="module")
def chrome(world: World) -> Iterator[Browser]:
    with browser() as started:
        yield started


@pytest.fixture
def visit(world: World, chrome: Browser) -> Iterator[Visit]:
    login = {"username": USER, "password": WORD}
    context = chrome.new_context(http_credentials=login)  # type: ignore[arg-type]
    context.set_default_timeout(30 * SECONDS)
    visit = Visit(world, context.new_page())
    yield visit
    context.close()
    assert_unmarked("\n".join(visit.seen).encode(), "the pages", MARKS)


def test_a_browser_that_does_not_log_in_sees_nothing(world: World, chrome: Browser) -> None:
    page = chrome.new_page()
    with pytest.raises(BrowserError, match="INVALID_AUTH_CREDENTIALS"):
        page.goto(f"{world.root}/tasks")
    page.close()


@pytest.mark.parametrize("login", [(USER, "wrong"), ("somebody", WORD)])
def test_a_browser_with_a_wrong_login_sees_nothing(
    world: World, chrome: Browser, login: tuple[str, str]
) -> None:
    user, word = login
    context = chrome.new_context(http_credentials={"username": user, "password": word})
    page = context.new_page()
    reply = page.goto(f"{world.root}/tasks")
    assert reply is not None
    assert reply.status == 401
    assert page.inner_text("body").strip() in (
        "",
        "Log in with the user and the password of Flower.",
    )
    context.close()


def test_the_tasks_of_a_website_are_found_by_its_name_with_their_directories(visit: Visit) -> None:
    visit.open("/tasks")
    rows = visit.rows("bakery")
    assert {row[0] for row in rows} == {
        f"{kind}[bakery]" for kind in ("plan", "directory", "files", "publish")
    }
    whole = "the whole website"
    shown = {(row[1], row[2], row[3]) for row in rows}
    assert {(whole, "SUCCESS", "22 files found"), (whole, "SUCCESS", "published")} <= shown
    files = [row for row in rows if row[0] == "files[bakery]"]
    assert sorted(row[1] for row in files) == [
        "img/gallery to wp-content/uploads/2024 (10 files)",
        "top directory to img/gallery (12 files)",
    ]
    assert {row[3].partition(",")[0] for row in files} == {"10 files sent", "12 files sent"}


def test_a_directory_is_found_by_its_path(visit: Visit) -> None:
    visit.open("/tasks")
    rows = visit.rows("args:gallery state:SUCCESS name:bakery")
    assert {row[0] for row in rows} == {"files[bakery]"}
    assert len(rows) == 2


def test_a_failed_batch_tells_the_servers_words_in_the_list_and_each_file_on_its_page(
    visit: Visit,
) -> None:
    visit.open("/tasks")
    rows = visit.rows("example state:FAILURE")
    assert rows
    assert all(row[2] == "FAILURE" for row in rows)
    assert all(row[3].startswith("FilesFailed: ") and REFUSAL in row[3] for row in rows)
    visit.page.locator("#tasks-table tbody a[href*='/task/']").first.click()
    visit.page.wait_for_url("**/task/**")
    text = visit.look()
    assert "files[example]" in text
    assert "(12 files)" in text
    assert f"the server said: {REFUSAL}" in text
    assert re.search(r"run \d{8}-\d{6}-\w+, attempt \d", text)
    assert "Revoke" not in text
    assert "Terminate" not in text


def test_what_is_tried_again_tells_why_and_when(visit: Visit) -> None:
    visit.open("/tasks")
    lost = [row for row in visit.rows("example state:RETRY") if row[3].startswith("SessionLost: ")]
    assert len(lost) == 1
    assert "as attempt 2" in lost[0][3]


def test_a_run_that_is_under_way_shows_what_is_being_carried(visit: Visit) -> None:
    visit.open("/tasks")
    (row,) = visit.rows("slow state:STARTED")
    assert row[:3] == ["files[slow]", "film.mp4 (30.0 MB)", "STARTED"]
    assert row[4].startswith(f"{visit.world.slow}.files-0-0.")


def test_a_file_name_is_shown_as_it_is_and_never_run(visit: Visit) -> None:
    visit.open("/tasks")
    rows = visit.rows("name:files[odd]")
    assert [row[1] for row in rows] == [f"{ODD_FILE} (3 B)"]
    visit.page.locator("#tasks-table tbody a[href*='/task/']").first.click()
    visit.page.wait_for_url("**/task/**")
    assert ODD_FILE in visit.look()
    assert visit.page.title() != "1"
    expect(visit.page.locator("img[src=x]")).to_have_count(0)


def test_both_workers_are_there_and_their_settings_hold_no_secret(visit: Visit) -> None:
    visit.open("/workers")
    expect(visit.page.locator("#workers-table tbody tr")).to_have_count(2)
    expect(visit.page.locator("#workers-table .bg-success")).to_have_count(2)
    visit.look()
    names = visit.page.locator("#workers-table tbody tr a").all_inner_texts()
    for name in (name for name in names if name.startswith("siteferry@")):
        visit.open(f"/worker/{name}")
        for tab in ("broker", "queues", "tasks", "config", "system"):
            visit.page.click(f"#worker-tab-{tab}")
            assert visit.look()
        assert "Shut Down" not in visit.page.content()
    visit.open("/broker")
    assert "siteferry.work" in visit.look()


def test_everything_but_healthcheck_is_behind_the_login_whatever_the_method(world: World) -> None:
    for handler in handlers:
        pattern = handler.regex.pattern if hasattr(handler, "regex") else handler[0]
        path = pattern.rstrip("$").replace("(.+)", "x").replace("(.*)", "x").replace(".*", "/x")
        for method in ("GET", "POST", "OPTIONS", "HEAD"):
            status, text = world.get(f"/{PREFIX}{path.replace('/?', '')}", None, method=method)
            is_open = path == "/healthcheck" and method == "GET"
            assert status == (200 if is_open else 401), f"{method} {path}: {status}"
            assert len(text) < 100
    assert world.get("/", None)[0] == 401
    assert world.get(f"/{PREFIX}/healthcheck", None) == (200, "OK")


def test_flower_lives_below_its_path_only_and_orders_no_worker_about(world: World) -> None:
    assert world.get("/tasks")[0] == 404
    assert world.get(f"/{PREFIX}/metrics")[0] == 200
    (worker, *_) = json.loads(world.shown("/api/workers?refresh=1"))
    for order in (f"worker/shutdown/{worker}", "task/async-apply/siteferry.plan"):
        assert world.get(f"/{PREFIX}/api/{order}", method="POST")[0] == 403, order


def test_no_password_is_in_answers_command_lines_logs_events_or_keys(world: World) -> None:
    with watched(world.redis) as sent:
        assert world.installation.run("import", "bakery", "--quiet").code == 0
        tasks = json.loads(world.shown("/api/tasks"))
        paths = ["/", "/workers", "/tasks", "/broker", "/metrics", "/api/tasks", "/api/task/types"]
        paths += ["/api/workers?refresh=1", "/api/queues/length"]
        paths += [f"/worker/{name}" for name in json.loads(world.shown("/api/workers"))]
        paths += [f"{kind}/{task}" for task in tasks for kind in ("/task", "/api/task/info")]
        answers = "\n".join(world.shown(path) for path in paths)
    assert b"siteferry.plan[bakery]" in sent  # messages and events went by
    assert "siteferry.files[bakery]" in answers
    assert "broker_url" in answers  # and how the workers are set up
    assert_unmarked(answers.encode(), "Flower's answers", MARKS)
    assert_unmarked(command_lines(), "a command line", MARKS)
    assert_unmarked(bytes(sent), "what went to Redis", MARKS)
    assert_unmarked(everything_in(world.redis), "Redis' keys", MARKS)
    logs = world.logs()
    assert b"Flower started" in logs
    assert b"login refused" in logs
    assert_unmarked(logs, "the logs", [*MARKS, b64encode(f"{USER}:{WORD}".encode()).decode()])
    process = Path(f"/proc/{world.flower}")
    assert WORD.encode() not in (process / "environ").read_bytes()
