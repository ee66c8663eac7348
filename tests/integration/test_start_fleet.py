"""Starting many runs: one connection for all of them, and an interrupt in the middle of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from siteferry import broker
from siteferry.cli.fleet import Fleet, start_fleet
from siteferry.cli.launch import Launch
from siteferry.cli.ledger_access import Ledger
from siteferry.errors import LedgerUnreachable
from siteferry.ledger.connection import connect
from siteferry.ledger.runs import Runs
from siteferry.run import RunState
from siteferry.settings import load_settings
from siteferry.websites import Chosen, Website, choose_websites, website_from_mapping
from siteferry.websites.run_options import RunOptions
from tests.installation import Installation
from tests.private_redis import RedisServer

COUNT = 50


@pytest.fixture
def launch(redis_server: RedisServer, tmp_path: Path) -> Iterator[Launch]:
    settings = load_settings(Installation(tmp_path).folder / "config/siteferry.yaml")
    connection = connect(redis_server.url, patience_seconds=0.1)
    ledger = Ledger(connection, redis_server.url, None, None, None, False, lambda: None)
    yield Launch(settings, ledger, lambda: None)
    connection.client.close()


def website(name: str, remote: str | None = None) -> Chosen:
    data = {
        "website": {"name": name},
        "ftp": {"host": "ftp.example.com", "username": "u", "remote_dir": f"/{remote or name}"},
    }
    return Chosen(name, website_from_mapping(data, name))


FLEET = [website(f"site-{n:02}") for n in range(COUNT)]


def states(launch: Launch, fleet: Fleet) -> list[RunState]:
    runs = list(fleet.runs.values())
    found = Runs(launch.ledger.connection).snapshots(runs)
    return [found[run].state for run in runs if run in found]


def test_one_application_and_one_connection_start_them_all(
    launch: Launch, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[broker.Broker] = []

    def counted(*args: Any, **options: Any) -> broker.Broker:
        made.append(make_broker(*args, **options))
        return made[-1]

    make_broker = broker.make_broker
    monkeypatch.setattr(broker, "make_broker", counted)
    with redis_server.client() as client:
        before = client.info("stats")["total_connections_received"]
        fleet = start_fleet(launch, FLEET, RunOptions())
        opened = client.info("stats")["total_connections_received"] - before
        assert client.llen("siteferry:siteferry.work") > 0
    assert states(launch, fleet) == [RunState.QUEUED] * COUNT
    assert len(made) == 1
    assert opened <= 3, "the ledger's, and the broker's"


def test_of_two_websites_with_one_target_the_second_is_refused(launch: Launch) -> None:
    one, other = website("one", "same"), website("other", "same")
    fleet = start_fleet(launch, [one, other], RunOptions(), if_not_running=True)
    assert list(fleet.runs) == ["one"]
    assert fleet.under_way == {}, "nobody would import it"
    assert fleet.refused["other"].exit_code == 5


class Pressed(Launch):
    """The user presses Ctrl-C when the third run has been entered, and before that is known."""

    def enter(self, website: Website, options: RunOptions, run: str | None = None) -> str:
        entered = Launch.enter(self, website, options, run)
        if website.name == "site-02":
            raise KeyboardInterrupt
        return entered


def test_an_interrupt_while_starting_cancels_all_that_was_started(
    launch: Launch, capsys: pytest.CaptureFixture[str]
) -> None:
    pressed = Pressed(launch.settings, launch.ledger, launch.check)
    broken = choose_broken(launch)
    fleet = start_fleet(pressed, [*FLEET, broken], RunOptions())
    assert fleet.interrupted
    assert states(launch, fleet) == [RunState.CANCELLED] * 3
    said = capsys.readouterr().err
    assert "3 cancelled before they touched a live site" in said
    assert f"{COUNT - 3} left that were not begun" in said
    results = fleet.results([*FLEET, broken], [])
    assert [result.site for result in results] == ["broken"]


def choose_broken(launch: Launch) -> Chosen:
    (launch.settings.paths.websites / "broken.yaml").write_text("ftp: {hostt: x}\n")
    (broken,) = choose_websites(launch.settings, ["broken"])
    return broken


def test_where_redis_goes_away_it_is_said_how_many_had_been_started(
    launch: Launch, redis_server: RedisServer, capsys: pytest.CaptureFixture[str]
) -> None:
    class Lost(Launch):
        def enter(self, website: Website, options: RunOptions, run: str | None = None) -> str:
            if website.name == "site-05":
                redis_server.stop()
            return Launch.enter(self, website, options, run)

    with pytest.raises(LedgerUnreachable):
        start_fleet(Lost(launch.settings, launch.ledger, launch.check), FLEET, RunOptions())
    assert "5 runs had been started: siteferry runs" in capsys.readouterr().err


def test_the_first_interrupt_waits_for_what_publishes_and_the_second_leaves_it(
    launch: Launch, capsys: pytest.CaptureFixture[str]
) -> None:
    (run,) = start_fleet(launch, FLEET[:1], RunOptions()).runs.values()
    runs = Runs(launch.ledger.connection)
    runs.set_fields(run, {"state": "publishing"})
    looks: list[int] = []

    def press() -> None:
        looks.append(1)
        if len(looks) < 3:
            raise KeyboardInterrupt
        runs.set_fields(run, {"state": "done"})

    launch.check = press
    with pytest.raises(click.Abort):
        launch.wait([run], as_json=True, quiet=True)
    assert len(looks) == 2
    assert "interrupt again to leave it" in capsys.readouterr().err
    assert runs.state(run) is RunState.PUBLISHING
    waited = launch.wait([run], as_json=True, quiet=True)
    assert (waited.interrupted, waited.cut_short) == (False, False)
