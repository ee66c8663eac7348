"""Labels of items on their way through the ledger's Lua: to whoever sends the item, each time."""

from __future__ import annotations

import json

import pytest

from siteferry.ledger.connection import Connection
from siteferry.ledger.items import Child, Fate, Finish, Items
from siteferry.ledger.runs import Runs
from siteferry.run import Member
from tests.integration.test_ledger import NODE, new_run

LABEL = 'img "2024" \\ <b>ž</b>\\" (64 files)'


@pytest.fixture
def items(connection: Connection) -> Items:
    return Items(connection)


@pytest.fixture
def plan(connection: Connection) -> Member:
    (plan,) = Runs(connection).start(new_run())
    return plan


def one_item(items: Items, plan: Member) -> Member:
    assert items.claim(plan, NODE)
    child = Child("files-0-0", {"files": [["a"]]}, label=LABEL)
    (member,) = items.finish(plan, NODE, Finish(children=[child]))
    return member


def shown(members: list[Member]) -> list[tuple[str, str, int]]:
    return [(member.site, member.label, member.attempt) for member in members]


def test_the_plan_of_a_run_names_its_website(plan: Member) -> None:
    assert shown([plan]) == [("example", "", 1)]


def test_an_item_has_its_label_when_it_is_let_in_and_after_each_way_back(
    items: Items, plan: Member
) -> None:
    member = one_item(items, plan)
    assert shown([member]) == [("example", LABEL, 1)]
    assert items.claim(member, NODE)
    again = items.release(member, NODE, [], 0, None, blameless=True)
    assert shown(again) == [("example", LABEL, 2)]
    assert items.claim(again[0], NODE)
    buried = items.bury(NODE, Fate.LEFT)
    assert shown(buried) == [("example", LABEL, 3)]
    swept = items.sweep(NODE, stale_seconds=60, lost_seconds=-1, queued=0, lease_ms=1)
    assert swept is not None
    assert shown(swept[0]) == [("example", LABEL, 4)]


def test_a_repeated_finish_gives_the_same_labels_again(items: Items, plan: Member) -> None:
    assert items.claim(plan, NODE)
    finish = Finish(children=[Child("files-0-0", {"files": []}, label=LABEL)])
    first, again = items.finish(plan, NODE, finish), items.finish(plan, NODE, finish)
    assert shown(first) == shown(again) == [("example", LABEL, 1)]


def test_an_item_that_an_earlier_version_has_left_is_carried_without_a_label(
    connection: Connection, items: Items, plan: Member
) -> None:
    member = one_item(items, plan)
    assert items.claim(member, NODE)
    as_it_was = json.dumps({"files": [["label"]]})
    connection.client.hset(connection.keys.items(plan.run), member.item, as_it_was)
    (again,) = items.release(member, NODE, [], 0, None, blameless=True)
    assert shown([again]) == [("example", "", 2)]
    claim = items.claim(again, NODE)
    assert claim is not None
    assert claim.body == {"files": [["label"]]}


def test_the_body_of_an_item_with_a_label_is_what_it_was_without(
    items: Items, plan: Member
) -> None:
    claim = items.claim(one_item(items, plan), NODE)
    assert claim is not None
    assert claim.body["files"] == [["a"]]
