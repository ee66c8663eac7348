"""The options of one run, on top of its website's file, and as the ledger keeps them."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from siteferry.errors import PlanOutdated
from siteferry.tree.plan_digest import Step, check_expected, plan_digest
from siteferry.websites import DeleteLimit, website_from_mapping
from siteferry.websites.run_options import RunOptions

WEBSITE = website_from_mapping(
    {
        "website": {"name": "example"},
        "ftp": {"host": "ftp.example.com", "max_connections": 8},
        "exclude": ["*.map"],
        "delete": {"mode": "published", "max": 25},
    },
    "example.yaml",
)
ASKED = RunOptions(
    compare="checksum",
    only=("blog/",),
    exclude=("*.psd",),
    delete="all",
    max_delete="50%",
    adopt=True,
    on_failure="publish",
    connections=2,
    bandwidth=1000,
    expected="ab",
)


def test_options_come_back_from_the_ledger_as_they_were() -> None:
    assert RunOptions.of(json.loads(json.dumps(ASKED.facts()))) == ASKED
    assert RunOptions().facts() == {}
    assert RunOptions.of({}) == RunOptions()


def test_a_word_of_another_version_is_refused_not_ignored() -> None:
    """An option such as `dry_run` must not be lost on a worker that is older than the command."""
    with pytest.raises(ValueError, match="keep_everything"):
        RunOptions.of({"keep_everything": True})


def test_the_website_is_seen_with_the_options_on_top() -> None:
    seen = ASKED.applied(WEBSITE)
    assert seen.compare == "checksum"
    assert seen.exclude == ("*.map", "*.psd")
    assert (seen.delete.mode, seen.delete.max) == ("all", DeleteLimit(percent=50.0))
    assert (seen.on_failure, seen.ftp.max_connections, seen.bandwidth) == ("publish", 2, 1000)
    assert seen.ftp.host == WEBSITE.ftp.host


def test_a_limit_alone_leaves_the_mode_and_a_mode_alone_the_limit() -> None:
    assert RunOptions(max_delete="3").applied(WEBSITE).delete.mode == "published"
    assert RunOptions(delete="all").applied(WEBSITE).delete.max == DeleteLimit(files=25)
    assert RunOptions().applied(WEBSITE) is WEBSITE


def test_a_plans_digest_names_what_it_does_in_whatever_order() -> None:
    steps = [Step.put("a", 1, "aa"), Step.delete("b"), Step.put("ž", 2, "cc")]
    assert plan_digest(steps) == plan_digest(reversed(steps))
    for other in (
        [*steps, Step.delete("c")],
        steps[1:],
        [replace(steps[0], sha256="ab"), *steps[1:]],
        [replace(steps[0], path="b"), *steps[1:]],
    ):
        with pytest.raises(PlanOutdated):
            check_expected(other, plan_digest(steps))
    check_expected(steps, plan_digest(steps))
