"""Every event is one line, an operator can read it, and no secret stands in it."""

from __future__ import annotations

import io
import json
import logging
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siteferry import log, secret
from siteferry.errors import ConfigurationError, LoginRefused
from siteferry.secret import MASK, Secret

EVIL_NAME = "\x1b[31mevil\n"
PASSWORD = "correct-horse-7316"
AWKWARD_PASSWORD = 'it\'s "q\\uoted"\nžalia'

LOGGER = log.get_logger("siteferry.tests")


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Logging is global: put handlers, levels and the known secrets back."""
    monkeypatch.setattr(secret, "_revealed", set())
    loggers = [logging.getLogger(name) for name in (None, "siteferry", "scheduler", "worker")]
    levels = [logger.level for logger in loggers]
    handlers, installed = list(logging.getLogger().handlers), log._installed
    yield
    logging.getLogger().handlers[:] = handlers
    log._installed = installed
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


@pytest.fixture
def text() -> io.StringIO:
    stream = io.StringIO()
    log.configure("debug", "text", stream)
    return stream


@pytest.fixture
def events() -> Callable[[], list[dict[str, Any]]]:
    stream = io.StringIO()
    log.configure("debug", "json", stream)
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


def reveal(value: str) -> str:
    return Secret(value).reveal()


def raise_with(message: str) -> None:
    local_variable = "seen only by a debugger"
    raise LoginRefused(message + local_variable[:0])


class TestText:
    def test_a_line_has_time_level_run_site_task_event_and_facts_in_this_order(
        self, text: io.StringIO
    ) -> None:
        with log.bind(task="files-3-0", site="example", run="20260131-154502-9f2c1a"):
            LOGGER.info("file sent", path="a b/index.html", bytes=512)
        assert re.fullmatch(
            r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z info  run=20260131-154502-9f2c1a "
            r'site=example task=files-3-0 file sent path="a b/index.html" bytes=512\n',
            text.getvalue(),
        )

    def test_bound_facts_end_with_their_block(self, text: io.StringIO) -> None:
        with log.bind(run="r1"):
            LOGGER.info("inside")
        LOGGER.info("outside")
        inside, outside = text.getvalue().splitlines()
        assert "run=r1" in inside
        assert "run=" not in outside

    def test_a_hostile_name_can_neither_steer_the_terminal_nor_forge_a_line(
        self, text: io.StringIO
    ) -> None:
        LOGGER.info(f"sent {EVIL_NAME}", path=EVIL_NAME + " run=forged", **{"k\n": 1})
        logging.getLogger("celery").warning("got %s", EVIL_NAME)
        lines = text.getvalue().splitlines()
        assert len(lines) == 2
        assert all(line.isprintable() for line in lines)
        assert r'path="\x1b[31mevil\n run=forged"' in lines[0]
        assert r"got \x1b[31mevil\n logger=celery" in lines[1]

    @pytest.mark.parametrize(
        ("value", "shown"),
        [
            ("", '""'),
            ('a"b', r'"a\"b"'),
            ("a=b", '"a=b"'),
            ("a\\b", r'"a\\b"'),
            (None, "None"),
            ("\x1b[31m", r'"\x1b[31m"'),
        ],
    )
    def test_values_are_quoted_where_they_could_be_misread(
        self, text: io.StringIO, value: str | None, shown: str
    ) -> None:
        LOGGER.info("event", fact=value)
        assert text.getvalue().endswith(f" event fact={shown}\n")

    def test_a_secret_is_masked_even_where_it_spans_a_key_and_its_value(
        self, text: io.StringIO
    ) -> None:
        reveal("sent path=index")
        LOGGER.info("file sent", path="index.html")
        assert text.getvalue().endswith(" file **redacted**.html\n")

    def test_an_exception_stays_on_the_line_of_its_event(self, text: io.StringIO) -> None:
        try:
            raise_with("the host refuses")
        except LoginRefused:
            LOGGER.exception("run failed")
        (line,) = text.getvalue().splitlines()
        assert "error run failed exception=" in line
        assert "LoginRefused: the host refuses" in line


class TestJson:
    def test_a_line_is_one_object(self, events: Callable[[], list[dict[str, Any]]]) -> None:
        with log.bind(run="r1"):
            LOGGER.warning("file sent", path=EVIL_NAME, bytes=512, undecodable="\udcff")
        (event,) = events()
        assert event.pop("timestamp").endswith("Z")
        assert event == {
            "level": "warning",
            "run": "r1",
            "event": "file sent",
            "logger": "siteferry.tests",
            "path": EVIL_NAME,
            "bytes": 512,
            "undecodable": "\udcff",
        }

    def test_a_fact_with_a_reserved_name_does_not_replace_the_real_one(
        self, events: Callable[[], list[dict[str, Any]]]
    ) -> None:
        LOGGER.info("event", level="forged", timestamp=0)
        (event,) = events()
        assert event["level"] == "info"
        assert event["level_"] == "forged"
        assert event["timestamp_"] == 0

    @pytest.mark.parametrize("password", ['": "', "2048", "siteferry.tests", "event"])
    def test_it_stays_json_whatever_the_secret_is(
        self, events: Callable[[], list[dict[str, Any]]], password: str
    ) -> None:
        reveal(password)
        LOGGER.info("file sent", bytes=102048, path=password)
        (event,) = events()
        assert password not in json.dumps(list(event.values()), separators=(",", ":"))

    def test_a_number_that_holds_the_secret_is_masked_alone(
        self, events: Callable[[], list[dict[str, Any]]]
    ) -> None:
        reveal("2048")
        LOGGER.info("file sent", bytes=102048, path="index.html", whole=True)
        (event,) = events()
        assert (event["bytes"], event["path"], event["whole"]) == (MASK, "index.html", True)


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("password", [PASSWORD, AWKWARD_PASSWORD])
class TestSecrets:
    @pytest.fixture(autouse=True)
    def configured(self, form: str, password: str) -> None:
        self.stream = io.StringIO()
        log.configure("debug", form, self.stream)  # type: ignore[arg-type]
        self.password = reveal(password)

    def logged(self) -> str:
        """Give what was logged, having checked that no spelling of the password is in it."""
        logged = self.stream.getvalue()
        assert MASK in logged
        spellings = (self.password, repr(self.password)[1:-1], json.dumps(self.password)[1:-1])
        shown = log.printable(self.password)
        assert not [spelling for spelling in (*spellings, shown) if spelling in logged]
        # Nor a part of it.
        assert "uoted" not in logged
        assert "horse" not in logged
        return logged

    def test_a_secret_in_the_event_or_in_any_fact_is_masked(self) -> None:
        nested = {"list": [self.password, ("x", self.password)], self.password: 1}
        LOGGER.info(f"530 {self.password}", reply=self.password, nested=nested)
        self.logged()

    def test_a_bound_secret_is_masked(self) -> None:
        with log.bind(site=self.password):
            LOGGER.info("event")
        self.logged()

    def test_a_secret_value_is_never_revealed_by_logging_it(self) -> None:
        LOGGER.info("event", password=Secret("never-revealed-9182"), both=[Secret(self.password)])
        assert "never-revealed" not in self.logged()

    def test_a_traceback_is_masked_through_the_whole_chain(self) -> None:
        try:
            try:
                raise ValueError(f"530 {self.password}")  # noqa: TRY301  the chain is the point
            except ValueError as error:
                raise RuntimeError(f"login with {self.password}") from error
        except RuntimeError:
            LOGGER.exception("failed")
            logging.getLogger("celery.app.trace").exception("failed")
        logged = self.logged()
        assert logged.count("ValueError: 530 **redacted**") == 2
        assert logged.count("RuntimeError: login with **redacted**") == 2

    def test_a_traceback_shows_no_local_variables(self) -> None:
        try:
            raise_with(self.password)
        except LoginRefused as error:
            LOGGER.warning("failed", exc_info=error)
        logged = self.logged()
        assert "raise_with" in logged
        assert "seen only by a debugger" not in logged

    def test_arguments_of_other_libraries_records_are_masked(self) -> None:
        celery = logging.getLogger("celery.app.trace")
        celery.info(
            "Task %(name)s[%(id)s] raised: %(exc)s args:%(args)r",
            {"name": "t", "id": 7, "exc": self.password, "args": ["x", {"p": self.password}]},
        )
        celery.info("connected to %r after %d tries", self.password, 3)
        logged = self.logged()
        assert "Task t[7] raised: **redacted**" in logged
        assert "connected to '**redacted**' after 3 tries" in logged


class TestConfiguring:
    def test_configuring_again_does_not_double_the_lines(self, text: io.StringIO) -> None:
        second = io.StringIO()
        log.configure("info", "text", second)
        LOGGER.info("once")
        assert text.getvalue() == ""
        assert second.getvalue().count("once") == 1

    def test_the_level_holds(self) -> None:
        stream = io.StringIO()
        log.configure("warning", "text", stream)
        LOGGER.info("too little")
        logging.getLogger("celery").info("too little")
        LOGGER.warning("enough")
        assert "too little" not in stream.getvalue()
        assert "enough" in stream.getvalue()

    def test_other_libraries_are_not_heard_at_debug(self, text: io.StringIO) -> None:
        logging.getLogger("urllib3").debug("GET /v1/secret")
        logging.getLogger("worker.tasks").debug("ours")
        assert "GET" not in text.getvalue()
        assert "ours" in text.getvalue()

    def test_an_unknown_level_is_an_error_with_the_next_step(self) -> None:
        with pytest.raises(ConfigurationError, match=r"'loud'.*Use debug, info"):
            log.configure("loud", "text")

    def test_with_no_stream_given_it_writes_to_what_stderr_is_now(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        log.configure("info", "text")
        now = io.StringIO()
        monkeypatch.setattr(sys, "stderr", now)
        LOGGER.info("event")
        assert "event" in now.getvalue()

    def test_a_stream_that_fails_is_told_without_the_records_arguments(
        self, text: io.StringIO, capsys: pytest.CaptureFixture[str]
    ) -> None:
        text.close()
        logging.getLogger("celery").info("args %s", reveal(PASSWORD))
        assert capsys.readouterr().err == "a log line was lost: ValueError\n"

    def test_an_application_with_its_own_logging_gets_readable_masked_text(self) -> None:
        stream = io.StringIO()
        handler = logging.StreamHandler(stream)
        logger = logging.getLogger("siteferry.library")
        logger.addHandler(handler)
        try:
            log.get_logger("siteferry.library").warning(
                "login refused", site="example", reply=f"530 {reveal(PASSWORD)}"
            )
        finally:
            logger.removeHandler(handler)
        assert stream.getvalue() == 'site=example login refused reply="530 **redacted**"\n'

    def test_threads_do_not_share_bound_facts(self, text: io.StringIO) -> None:
        with log.bind(run="r1"):
            thread = threading.Thread(target=lambda: LOGGER.info("elsewhere"))
            thread.start()
            thread.join()
        assert "elsewhere" in text.getvalue()
        assert "run=" not in text.getvalue()


class TestInAProcessOfItsOwn:
    @staticmethod
    def run(script: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)

    def test_importing_it_loads_neither_structlog_nor_rich(self) -> None:
        done = self.run(
            "import sys, siteferry.log as log; log.get_logger('x')\n"
            "import siteferry.report.printer, siteferry.report.as_json, siteferry.report.table\n"
            "print(sorted({'structlog', 'rich', 'celery', 'asyncio'} & set(sys.modules)))"
        )
        assert (done.stdout, done.stderr) == ("[]\n", "")

    def test_arguments_that_do_not_fit_are_logged_masked_and_not_dumped(self) -> None:
        done = self.run(
            "import logging\n"
            "from siteferry import log\n"
            "from siteferry.secret import Secret\n"
            "log.configure('info', 'text')\n"
            f"logging.getLogger('kombu').error('%d tries', Secret('{PASSWORD}').reveal())\n"
        )
        (line,) = done.stderr.splitlines()
        assert line.endswith("error %d tries ('**redacted**',) logger=kombu")

    def test_what_nothing_catches_is_one_masked_line_in_every_thread(self) -> None:
        done = self.run(
            "import threading\n"
            "from siteferry import log\n"
            "from siteferry.secret import Secret\n"
            "log.configure('info', 'text')\n"
            "log.log_uncaught()\n"
            f"password = Secret('{PASSWORD}').reveal()\n"
            "def fail(): raise ValueError(password)\n"
            "thread = threading.Thread(target=fail, name='beat')\n"
            "thread.start(); thread.join()\n"
            "fail()\n"
        )
        in_thread, in_main = done.stderr.splitlines()
        assert done.returncode == 1
        assert "uncaught exception thread=beat" in in_thread
        for line in (in_thread, in_main):
            assert "ValueError: **redacted**" in line
            assert PASSWORD not in line


class TestPrintable:
    @given(st.text(st.characters(exclude_categories=[])))
    def test_no_text_can_steer_a_terminal_or_fail_to_be_encoded(self, text: str) -> None:
        shown = log.printable(text)
        assert shown.isprintable()
        assert shown.encode("utf-8")[:0] == b""

    def test_letters_of_every_language_stay_as_they_are(self) -> None:
        assert log.printable("žalia 緑 ירוק 🌿") == "žalia 緑 ירוק 🌿"

    def test_direction_marks_and_undecodable_bytes_are_shown(self) -> None:
        assert log.printable("\u202egpj.exe\udcff\x9b") == r"\u202egpj.exe\udcff\x9b"
