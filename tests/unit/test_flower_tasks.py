"""What Flower's pages show of a task, from what Celery's events have told of it."""

from __future__ import annotations

import traceback

from celery.events.state import Task

from siteferry.cli.flower_tasks import COLUMNS, shown_task
from siteferry.secret import MASK, Secret
from siteferry.task_states import ItemEnded, TriedAgain

NAME = "siteferry.files[example]"


def task(**fields: str | None) -> Task:
    return Task(uuid="run-1.files-0-0.1", name=NAME, args="example: img (3 files)", **fields)


def traceback_of(error: Exception) -> str:
    try:
        raise error
    except (ItemEnded, TriedAgain) as raised:
        return "".join(traceback.format_exception(raised))


def test_the_name_goes_without_the_package_and_the_arguments_without_the_website() -> None:
    shown = shown_task(task(state="STARTED"))
    assert (shown.name, shown.args, shown.result) == ("files[example]", "img (3 files)", None)


def test_a_result_goes_without_the_quotes_that_celery_puts_around_it() -> None:
    assert shown_task(task(state="SUCCESS", result="'3 files sent'")).result == "3 files sent"
    assert shown_task(task(state="SUCCESS", result="'")).result == "'"


def test_a_failure_shows_its_reason_as_the_result_and_its_files_without_celerys_calls() -> None:
    error = ItemEnded("FilesFailed: 2 of 3", "a: refused\nb: siteferry.task_states.ItemEnded: x")
    shown = shown_task(task(state="FAILURE", exception=repr(error), traceback=traceback_of(error)))
    assert shown.result == "FilesFailed: 2 of 3"
    assert shown.traceback == "a: refused\nb: siteferry.task_states.ItemEnded: x"
    assert shown.exception is None


def test_a_failure_that_is_not_siteferrys_shows_all_of_celerys_calls() -> None:
    shown = shown_task(task(state="FAILURE", exception="KeyError('x')", traceback="Traceback: x"))
    assert (shown.result, shown.traceback) == ("KeyError('x')", "Traceback: x")


def test_a_secret_that_this_process_knows_is_masked_in_what_others_tell() -> None:
    word = Secret("Word-4711").reveal()
    error = TriedAgain("", ItemEnded(f"LoginRefused: {word}", f"as {word}"), 1)
    shown = shown_task(task(state="RETRY", exception=repr(error), traceback=traceback_of(error)))
    assert shown.result == f"LoginRefused: {MASK}"
    assert shown.traceback == f"as {MASK}"


def test_a_task_of_a_version_without_labels_is_shown_as_it_is() -> None:
    old = Task(uuid="x", name="siteferry.plan", args="['run-1', 'plan', 1]", state="STARTED")
    assert shown_task(old).args == "['run-1', 'plan', 1]"
    nothing = shown_task(Task(uuid="x"))
    assert (nothing.name, nothing.args) == ("", "")


def test_the_columns_are_flowers() -> None:
    from flower.views.tasks import TASK_COLUMNS

    assert COLUMNS.keys() <= TASK_COLUMNS.keys()
