"""What the stores with an SDK have in common: names, SDKs that are missing, and what SDKs log."""

from __future__ import annotations

import io
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from siteferry import log
from siteferry.credentials import Entry
from siteferry.credentials.flat_names import FlatNames
from siteferry.errors import (
    CredentialMalformed,
)
from siteferry.secret import Secret
from tests.stores.aws_double import AwsMotoDoubleStand
from tests.stores.azure_double import TOKEN, AzureWireDoubleStand
from tests.stores.base import Stand
from tests.stores.gcp_double import GcpWireDoubleStand
from tests.stores.refusals import IN_BASE64, MARKED, reads, refusal_of, writes
from tests.stores.unmasked import mask_nothing
from tests.stores.vault_double import SECRET_ID, VaultWireDoubleStand


@pytest.fixture(autouse=True)
def unmasked(monkeypatch: pytest.MonkeyPatch) -> None:
    mask_nothing(monkeypatch)


def made(kind: type[Stand], open_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stand]:
    stand = kind(open_folder, monkeypatch)
    stand.plant("shop", "FTP_PASSWORD", MARKED)
    yield stand
    stand.close()


# Names

GCP = FlatNames("siteferry-", 255, case_counts=True)
AZURE = FlatNames("siteferry-", 127, case_counts=False)
ENTRIES = st.builds(
    Entry,
    *[
        st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,8}", fullmatch=True)
        | st.sampled_from(["a", "A", "a-b", "a_b", "2d", "-2d", "_", "a-", "A-2D", "a.b"]).filter(
            lambda name: not name.startswith("-")
        )
    ]
    * 2,
)


@given(ENTRIES, ENTRIES)
@example(Entry("a-", "2d"), Entry("a", "-2d".lstrip("-")))
@example(Entry("a", "KEY"), Entry("A", "key"))
def test_two_entries_never_share_a_name(one: Entry, other: Entry) -> None:
    assert (GCP.name(one) == GCP.name(other)) == (one == other)
    assert (AZURE.name(one).lower() == AZURE.name(other).lower()) == (one == other)


@given(ENTRIES)
def test_a_name_leads_back_to_its_entry(entry: Entry) -> None:
    assert GCP.entry(GCP.name(entry)) == entry
    for shown in (AZURE.name(entry), AZURE.name(entry).upper(), AZURE.name(entry).lower()):
        assert AZURE.entry(shown) == entry


@given(ENTRIES)
def test_names_keep_to_the_characters_of_the_store(entry: Entry) -> None:
    assert set(GCP.name(entry)) <= set(AZURE_CHARACTERS + "_")
    assert set(AZURE.name(entry)) <= set(AZURE_CHARACTERS)


AZURE_CHARACTERS = "0123456789-abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def test_names_look_as_the_documents_say() -> None:
    entry = Entry("my-shop.example", "FTP_PASSWORD")
    assert GCP.name(entry) == "siteferry-my-2dshop-2eexample--FTP_PASSWORD"
    assert AZURE.name(entry) == "siteferry-my-2dshop-2eexample--FTP-5fPASSWORD"


@pytest.mark.parametrize(
    "name",
    ["other-a--b", "siteferry-a", "siteferry-a--", "siteferry-a-61--b", "siteferry--probe", "",
     "siteferry-a--b--c", "siteferry--2e--b", "siteferry-a-zz--b"],
)  # fmt: skip
def test_other_names_are_no_entry_s(name: str) -> None:
    assert GCP.entry(name) is None
    assert AZURE.entry(name) is None


def test_a_name_that_would_be_too_long_is_malformed_and_told(
    open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind, key in ((AzureWireDoubleStand, "K" * 110), (GcpWireDoubleStand, "K-" * 60)):
        for stand in made(kind, open_folder, monkeypatch):
            store = stand.open()
            for action in (
                lambda s=store, k=key: s.get("s" * 100, k),
                lambda s=store, k=key: s.store("s" * 100, k, Secret("value")),
            ):
                assert "Shorten" in str(refusal_of(CredentialMalformed, action))


# SDKs that are not installed, and what they log


@pytest.mark.parametrize(
    ("store", "module"),
    [
        ("vault", "hvac"),
        ("aws", "boto3"),
        ("gcp", "google.cloud.secretmanager_v1"),
        ("azure", "azure.keyvault.secrets"),
        ("azure", "azure.identity"),
    ],
)
def test_without_its_sdk_a_store_names_the_extra(store: str, module: str) -> None:
    program = (
        f"import sys; sys.modules[{module!r}] = None\n"
        "from siteferry.credentials import open_backend\n"
        "from siteferry.errors import ConfigurationError\n"
        "from siteferry.settings import Settings\n"
        "try:\n"
        f"    open_backend({store!r}, Settings())\n"
        "except ConfigurationError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert f"pip install 'siteferry[{store}]'" in done.stdout, done.stderr


def test_no_sdk_is_imported_before_its_store_is_opened() -> None:
    program = (
        "import sys, siteferry.credentials, siteferry.cli\n"
        "print({'hvac', 'boto3', 'botocore', 'google.auth', 'azure.core', 'requests'}"
        " & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr


SERVED: list[type[Stand]] = [
    VaultWireDoubleStand,
    AwsMotoDoubleStand,
    GcpWireDoubleStand,
    AzureWireDoubleStand,
]
EVERY = pytest.mark.parametrize("kind", SERVED, ids=lambda kind: kind.label())


@pytest.fixture
def as_it_was() -> Iterator[None]:
    """Logging is global: put handlers and levels back."""
    loggers = [logging.getLogger(n) for n in (None, "siteferry", "scheduler", "worker", "azure")]
    levels = [logger.level for logger in loggers]
    handlers = list(logging.getLogger().handlers)
    yield
    logging.getLogger().handlers[:] = handlers
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


@EVERY
def test_siteferry_s_log_hears_no_sdk_say_a_value(
    kind: type[Stand], open_folder: Path, monkeypatch: pytest.MonkeyPatch, as_it_was: None
) -> None:
    for stand in made(kind, open_folder, monkeypatch):
        heard = io.StringIO()
        log.configure("debug", "text", heard)
        store = stand.open()
        reads(store)()
        writes(store)()
        assert MARKED not in heard.getvalue()
        assert IN_BASE64 not in heard.getvalue()


@pytest.mark.parametrize(
    "kind", [VaultWireDoubleStand, AzureWireDoubleStand], ids=lambda kind: kind.label()
)
def test_at_debug_the_sdks_of_vault_and_azure_say_no_value(
    kind: type[Stand],
    open_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    as_it_was: None,
) -> None:
    """botocore does, and google-cloud-secret-manager if the logger `google` is set up: they print
    requests and replies whole. siteferry's log keeps libraries at info."""
    for stand in made(kind, open_folder, monkeypatch):
        logging.getLogger("azure").setLevel(logging.DEBUG)
        with caplog.at_level(logging.DEBUG):
            store = stand.open()
            reads(store)()
            writes(store)()
        shown = caplog.text + repr([record.__dict__ for record in caplog.records])
        assert caplog.records
        for secret in (MARKED, SECRET_ID, TOKEN):
            assert secret not in shown
