"""docs/metrics.md tells exactly the metrics that a scrape gives, and the alerts that there are."""

from __future__ import annotations

import re
import subprocess

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from ruamel.yaml import YAML

from scheduler.metrics import LedgerCollector
from siteferry.ledger.accounts import StoppedAccounts
from siteferry.ledger.connection import Connection
from siteferry.ledger.items import Finish, Items
from siteferry.ledger.runs import Runs
from siteferry.ledger.slots import SlotLedger
from tests.conftest import unavailable
from tests.installation import REPOSITORY
from tests.integration.test_ledger import NODE, new_run
from tests.servers.binaries import find_binary
from tests.unit.test_docs import check_command, rows_of

Row = tuple[str, str, frozenset[str]]


@pytest.fixture
def whole(connection: Connection) -> str:
    """The answer of a ledger that has something of everything."""
    runs, items = Runs(connection), Items(connection)
    (plan,) = runs.start(new_run("run-1"))
    items.claim(plan, NODE)
    (publish,) = items.finish(plan, NODE, Finish())
    items.claim(publish, NODE)
    items.finish(publish, NODE, Finish())
    SlotLedger(connection).take("u@h:21", "192.0.2.1", f"{NODE}.1", most_account=3, most_address=3)
    StoppedAccounts(connection).stop("u@h:21", "530 no")
    registry = CollectorRegistry(auto_describe=False)
    registry.register(LedgerCollector(connection, lambda: ["example"]))
    return generate_latest(registry).decode()


def told() -> set[Row]:
    return {
        (row[0].strip("`"), row[1], frozenset(re.findall(r"`(\w+)`", row[2])))
        for row in rows_of("docs/metrics.md", "All metrics")
    }


def test_the_table_has_every_metric_with_its_type_and_labels_and_no_other(whole: str) -> None:
    found = {
        (sample.name, family.type, frozenset(sample.labels))
        for family in text_string_to_metric_families(whole)
        for sample in family.samples
    }
    assert found == told()


def test_promtool_finds_nothing_wrong_in_a_scrape(whole: str) -> None:
    binary = find_binary("promtool", "prometheus")
    if binary is None:
        unavailable("promtool is not here: tests/servers/install.sh")
    checked = subprocess.run(
        [str(binary.path), "check", "metrics"], input=whole, capture_output=True, text=True
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def alerts() -> list[dict[str, dict[str, str]]]:
    file = REPOSITORY / "config/prometheus/alerts.yml"
    return [rule for group in YAML(typ="safe").load(file)["groups"] for rule in group["rules"]]


def test_the_table_of_alerts_has_every_alert_with_its_severity() -> None:
    rows = rows_of("docs/metrics.md", "Prometheus")
    assert [(row[0].strip("`"), row[2]) for row in rows] == [
        (str(rule["alert"]), rule["labels"]["severity"]) for rule in alerts()
    ]


def test_the_alerts_are_about_metrics_that_there_are() -> None:
    names = {name for name, _, _ in told()}
    for rule in alerts():
        asked = set(re.findall(r"siteferry_\w+", str(rule["expr"])))
        assert asked <= names, rule["alert"]
        assert asked or "up{" in str(rule["expr"])


def test_the_alerts_name_commands_that_there_are() -> None:
    texts = [text for rule in alerts() for text in rule["annotations"].values()]
    named = [
        re.sub(r"\{\{.*?\}\}", "NAME", command).split()
        for text in texts
        for command in re.findall(r"`siteferry (.*?)`", text)
    ]
    assert len(named) >= len(alerts())
    for words in named:
        check_command(words)
