"""The broker's side of Celery: where messages go and what they carry."""

from __future__ import annotations

import base64
import json

import pytest
import redis

from siteferry.broker import SHARED_QUEUE, TASKS, _kombu_url, make_broker, own_queue
from siteferry.run import ItemKind, Member
from siteferry.secret import Secret
from tests.private_redis import RedisServer


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://h:1/2", "redis://h:1/2"),
        ("rediss://h", "rediss://h"),
        ("unix:///run/r.sock?db=3", "redis+socket:///run/r.sock?virtual_host=3"),
        ("unix:///run/r.sock", "redis+socket:///run/r.sock?virtual_host=0"),
    ],
)
def test_redis_pys_urls_become_kombus(url: str, expected: str) -> None:
    assert _kombu_url(url, None, None) == expected


def test_a_login_is_put_into_the_brokers_url_quoted() -> None:
    url = _kombu_url("redis://h:1/0", "us/er", Secret("p@ss:w/rd"))
    assert url == "redis://us%2Fer:p%40ss%3Aw%2Frd@h:1/0"


def test_every_kind_of_item_has_a_task() -> None:
    assert set(TASKS) == set(ItemKind)


def test_a_member_goes_to_the_queue_of_the_node_it_names_and_carries_only_names(
    redis_server: RedisServer,
) -> None:
    broker = make_broker(redis_server.url, prefix="t:")
    members = [
        Member("run-1", "files-0-0", 1, "example", "img (3 files)", "node-a"),
        Member("run-1", "files-0-1", 2),
    ]
    broker.send(members)
    broker.app.close()
    client = redis.Redis.from_url(redis_server.url)
    own = [json.loads(m) for m in client.lrange("t:" + own_queue("node-a"), 0, -1)]
    shared = [json.loads(m) for m in client.lrange("t:" + SHARED_QUEUE, 0, -1)]
    keys = set(client.keys("*"))
    client.close()
    shown = ("shadow", "argsrepr", "kwargsrepr")
    assert [[m["headers"][key] for key in shown] for m in (*own, *shared)] == [
        ["siteferry.files[example]", "example: img (3 files)", "run run-1, attempt 1"],
        [None, "files-0-1", "run run-1, attempt 2"],
    ]
    assert [json.loads(base64.b64decode(m["body"]))[0] for m in own] == [["run-1", "files-0-0", 1]]
    assert own[0]["headers"]["task"] == "siteferry.files"
    assert not [key for key in keys if b"_kombu.binding" in key], "no binding is left behind"
