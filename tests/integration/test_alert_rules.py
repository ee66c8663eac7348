"""The example alerts fire when they should and only then, says Prometheus' own promtool."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.conftest import unavailable
from tests.installation import REPOSITORY
from tests.servers.binaries import find_binary

CONFIG = REPOSITORY / "config/prometheus"
RULES = CONFIG / "alerts.yml"


@dataclass(frozen=True)
class Case:
    """With these series, a value a minute, the alert fires `at` for the labels in `fires`."""

    alert: str
    why: str
    at: str
    series: dict[str, str]
    fires: list[dict[str, str]] = field(default_factory=list)


def two_beats(metric: str, values: str) -> dict[str, str]:
    """Both tell the same."""
    name, _, labels = metric.partition("{")
    more = labels.rstrip("}") + "," if labels else ""
    return {
        f'siteferry_{name}{{{more}job="siteferry",instance="{i}"}}': values for i in ("a:1", "b:1")
    }


GOOD = "last_good_run_timestamp_seconds"
SCHEDULED = {'siteferry_website_scheduled{site="shop"}': "1x4000"}
UP = {"siteferry_ledger_up": "1x4000"}
LAST = two_beats('last_run_timestamp_seconds{site="shop"}', "0x13000")
STATE = 'last_run_state{site="shop",state="%s"}'
CASES = [
    Case("SiteferryWebsiteStale", "27 hours", "27h",
         {**two_beats(f'{GOOD}{{site="shop"}}', "0x4000"), **SCHEDULED}, [{"site": "shop"}]),
    Case("SiteferryWebsiteStale", "25 hours", "25h",
         {**two_beats(f'{GOOD}{{site="shop"}}', "0x4000"), **SCHEDULED}),
    Case("SiteferryWebsiteStale", "no schedule", "27h",
         two_beats(f'{GOOD}{{site="shop"}}', "0x4000")),
    Case("SiteferryWebsiteStale", "published meanwhile", "27h",
         {**two_beats(f'{GOOD}{{site="shop"}}', "0x600 36000x3000"), **SCHEDULED}),
    Case("SiteferryWebsiteNeverPublished", "never", "27h", {**SCHEDULED, **UP}, [{"site": "shop"}]),
    Case("SiteferryWebsiteNeverPublished", "once", "27h",
         {**SCHEDULED, **UP, **two_beats(f'{GOOD}{{site="shop"}}', "0x4000")}),
    Case("SiteferryWebsiteNeverPublished", "the ledger is away", "27h",
         {**SCHEDULED, "siteferry_ledger_up": "0x4000"}),
    Case("SiteferryRunBad", "failed", "5m", {**two_beats(STATE % "failed", "1x10"), **LAST},
         [{"site": "shop", "state": "failed"}]),
    Case("SiteferryRunBad", "incomplete", "5m", {**two_beats(STATE % "incomplete", "1x10"), **LAST},
         [{"site": "shop", "state": "incomplete"}]),
    Case("SiteferryRunBad", "mended", "5m", {**two_beats(STATE % "failed", "1x2 0x10"), **LAST}),
    Case("SiteferryRunBad", "cancelled", "5m", {**two_beats(STATE % "cancelled", "1x10"), **LAST}),
    Case("SiteferryRunBad", "no schedule, six days ago", "6d",
         {**two_beats(STATE % "failed", "1x13000"), **LAST}, [{"site": "shop", "state": "failed"}]),
    Case("SiteferryRunBad", "no schedule, eight days ago", "8d",
         {**two_beats(STATE % "failed", "1x13000"), **LAST,
          'siteferry_website_scheduled{site="other"}': "1x13000"}),
    Case("SiteferryRunBad", "a schedule, eight days ago", "8d",
         {**two_beats(STATE % "failed", "1x13000"), **LAST,
          'siteferry_website_scheduled{site="shop"}': "1x13000"},
         [{"site": "shop", "state": "failed"}]),
    Case("SiteferryAccountStopped", "stopped", "5m",
         two_beats('account_stopped{account="u@h:21"}', "1x10"), [{"account": "u@h:21"}]),
    Case("SiteferryAccountStopped", "resumed", "5m",
         two_beats('account_stopped{account="u@h:21"}', "1x2 0x10")),
    Case("SiteferryLimitLearned", "4 of 8", "7h",
         {**two_beats('account_slots_learned{account="u@h:21"}', "4x500"),
          **two_beats('account_slots_configured{account="u@h:21"}', "8x500")},
         [{"account": "u@h:21"}]),
    Case("SiteferryLimitLearned", "8 of 8", "7h",
         {**two_beats('account_slots_learned{account="u@h:21"}', "8x500"),
          **two_beats('account_slots_configured{account="u@h:21"}', "8x500")}),
    Case("SiteferryNoWorker", "none", "5m", two_beats("workers", "0x10"), [{}]),
    Case("SiteferryNoWorker", "one", "5m", two_beats("workers", "1x10")),
    Case("SiteferryNoWorker", "a restart", "5m", two_beats("workers", "1x3 0 1x6")),
    Case("SiteferryQueueWithoutWorker", "a run waits", "5m",
         {**two_beats("workers", "0x10"), **two_beats('runs{state="queued"}', "1x10")}, [{}]),
    Case("SiteferryQueueWithoutWorker", "nothing waits", "5m",
         {**two_beats("workers", "0x10"), **two_beats('runs{state="queued"}', "0x10")}),
    Case("SiteferryQueueWithoutWorker", "somebody carries it", "5m",
         {**two_beats("workers", "1x10"), **two_beats('runs{state="queued"}', "1x10")}),
    Case("SiteferryWorkersTooFew", "messages wait", "40m",
         {**two_beats("workers", "2x60"), **two_beats("queue_messages", "3x60")}, [{}]),
    Case("SiteferryWorkersTooFew", "taken now and then", "40m",
         {**two_beats("workers", "2x60"), **two_beats("queue_messages", "3x20 0 3x40")}),
    Case("SiteferryRetries", "one each two seconds", "40m",
         two_beats('retries_total{direction="import",reason="died"}', "0+30x60"),
         [{"reason": "died"}]),
    Case("SiteferryRetries", "one a minute", "40m",
         two_beats('retries_total{direction="import",reason="died"}', "0+1x60")),
    Case("SiteferryLedgerDown", "away", "5m", two_beats("ledger_up", "0x10"), [{}]),
    Case("SiteferryLedgerDown", "one of two beats sees it", "5m",
         {'siteferry_ledger_up{instance="a"}': "0x9", 'siteferry_ledger_up{instance="b"}': "1x9"}),
    Case("SiteferryBeatAbsent", "no target", "5m", {}, [{}]),
    Case("SiteferryBeatAbsent", "no target answers", "5m",
         {'up{job="siteferry",instance="a"}': "0x10"}, [{}]),
    Case("SiteferryBeatAbsent", "one answers", "5m",
         {'up{job="siteferry",instance="a"}': "0x10", 'up{job="siteferry",instance="b"}': "1x10"}),
]  # fmt: skip


def rules() -> list[dict[str, Any]]:
    return [rule for group in YAML(typ="safe").load(RULES)["groups"] for rule in group["rules"]]


def promtool(*arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    binary = find_binary("promtool", "prometheus")
    if binary is None:
        unavailable("promtool is not here: tests/servers/install.sh")
    return subprocess.run(
        [str(binary.path), *arguments], input=text, capture_output=True, text=True, timeout=60
    )


def test_every_alert_says_how_bad_it_is_and_what_to_do() -> None:
    for rule in rules():
        assert rule["alert"].startswith("Siteferry")
        assert rule["for"]
        assert rule["labels"]["severity"] in {"info", "warning", "critical"}
        assert set(rule["annotations"]) == {"summary", "description"}
    names = [rule["alert"] for rule in rules()]
    assert len(set(names)) == len(names)


def test_every_alert_has_cases_in_which_it_fires_and_in_which_it_does_not() -> None:
    names = {rule["alert"] for rule in rules()}
    assert {case.alert for case in CASES if case.fires} == names
    assert {case.alert for case in CASES if not case.fires} == names


def test_promtool_finds_nothing_wrong_in_the_examples() -> None:
    for arguments in (
        ["check", "rules", str(RULES)],
        ["check", "config", "--syntax-only", str(CONFIG / "scrape.yml")],
    ):
        checked = promtool(*arguments)
        assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("alert", sorted({case.alert for case in CASES}))
def test_the_alert_fires_when_it_should_and_only_then(alert: str, tmp_path: Path) -> None:
    severity = {rule["alert"]: rule["labels"]["severity"] for rule in rules()}[alert]
    cases = [case for case in CASES if case.alert == alert]
    own = {"__name__": "ALERTS", "alertname": alert, "alertstate": "firing", "severity": severity}
    tests = [
        {
            "name": case.why,
            "interval": "1m",
            "input_series": [{"series": s, "values": v} for s, v in case.series.items()],
            "promql_expr_test": [
                {
                    "expr": f'ALERTS{{alertname="{alert}",alertstate="firing"}}',
                    "eval_time": case.at,
                    "exp_samples": [{"labels": shown(own | ls), "value": 1} for ls in case.fires],
                }
            ],
        }
        for case in cases
    ]
    file = tmp_path / "alerts.test.yml"
    file.write_text(json.dumps({"rule_files": [str(RULES)], "tests": tests}))
    done = promtool("test", "rules", str(file))
    assert done.returncode == 0, done.stdout + done.stderr


def shown(labels: dict[str, str]) -> str:
    return "{" + ",".join(f"{name}={json.dumps(value)}" for name, value in labels.items()) + "}"
