"""What is kept of a server, and what is made of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siteferry.ftp.bursts import CAREFUL_BYTES, GENEROUS_BYTES, PROFTPD_BYTES, Allowance
from siteferry.ftp.profile import (
    KEEP_SECONDS,
    ServerProfile,
    TlsResult,
    TlsVersion,
    profile_of,
)

VSFTPD = frozenset({"EPRT", "EPSV", "MDTM", "PASV", "REST", "SIZE", "TVFS"})
PUREFTPD = frozenset({"UTF8", "MDTM", "MFMT", "MLST", "PRET", "ESTA", "ESTP", "EPSV", "SIZE"})
PROFTPD = frozenset({"CSID", "HOST", "MFF", "MFMT", "RANG", "MLST", "EPSV", "SIZE", "UTF8"})
TLS = frozenset({"AUTH", "PBSZ", "PROT"})

results = st.sampled_from(["resumed", "full", "refused"])
profiles = st.builds(
    ServerProfile,
    features=st.frozensets(st.text("ABCXYZ", min_size=1)),
    epsv=st.booleans(),
    time_verb=st.none() | st.sampled_from(["MFMT", "MDTM"]),
    time_refused=st.frozensets(st.sampled_from(["MFMT", "MDTM"])),
    rename_across=st.none() | st.booleans(),
    chmod=st.booleans(),
    encoding=st.sampled_from(["utf-8", "latin-1"]),
    tls=st.dictionaries(st.sampled_from(["1.2", "1.3"]), results),
    learned=st.floats(0, 2e9),
)


@given(profiles)
def test_what_is_kept_comes_back_as_it_was(profile: ServerProfile) -> None:
    assert profile_of(profile.text(), profile.learned + 1) == profile


@pytest.mark.parametrize(
    "text", [None, "", "[]", "{", '{"epsv": "perhaps"}', '{"tls": {"1": "x"}}']
)
def test_what_cannot_be_read_is_nothing(text: str | None) -> None:
    assert profile_of(text, 5.0) == ServerProfile(learned=5.0)


def test_what_was_learned_long_ago_is_learned_anew() -> None:
    text = ServerProfile(epsv=False, learned=1000.0).text()
    assert not profile_of(text, 1000.0 + KEEP_SECONDS - 1).epsv
    assert profile_of(text, 1000.0 + KEEP_SECONDS) == ServerProfile(learned=1000.0 + KEEP_SECONDS)
    # A clock that was set back.
    assert profile_of(text, 999.0).epsv


def test_a_server_that_tells_other_features_is_another_server() -> None:
    profile = ServerProfile(features=VSFTPD, epsv=False, rename_over=False, tls={"1.2": "full"})
    profile.learn_features(PROFTPD)
    assert profile == ServerProfile(features=PROFTPD, time_verb="MFMT")


def test_a_server_that_tells_the_same_features_keeps_what_was_learned() -> None:
    profile = ServerProfile(features=VSFTPD, epsv=False, rename_over=False)
    profile.learn_features(VSFTPD)
    assert not profile.epsv
    assert not profile.rename_over


@pytest.mark.parametrize(
    ("seen", "version"),
    [
        ({}, "1.2"),
        ({"1.2": "resumed"}, "1.2"),
        ({"1.2": "full"}, "1.3"),
        ({"1.2": "refused"}, "1.3"),
        ({"1.2": "full", "1.3": "resumed"}, "1.3"),
        ({"1.2": "full", "1.3": "full"}, "1.3"),
        ({"1.2": "full", "1.3": "refused"}, "1.2"),
        ({"1.2": "refused", "1.3": "full"}, "1.3"),
    ],
)
def test_the_version_is_one_that_resumes_or_is_still_to_be_tried(
    seen: dict[TlsVersion, TlsResult], version: TlsVersion
) -> None:
    assert ServerProfile(tls=seen).tls_version == version


@pytest.mark.parametrize(
    ("features", "plain", "encrypted"),
    [
        (VSFTPD, Allowance(GENEROUS_BYTES), Allowance(GENEROUS_BYTES)),
        (PUREFTPD, Allowance(GENEROUS_BYTES), Allowance(GENEROUS_BYTES)),
        (PROFTPD, Allowance(GENEROUS_BYTES, PROFTPD_BYTES), Allowance(GENEROUS_BYTES)),
        (frozenset({"EPSV", "SIZE"}), Allowance(CAREFUL_BYTES), Allowance(CAREFUL_BYTES)),
        (frozenset(), Allowance(CAREFUL_BYTES), Allowance(CAREFUL_BYTES)),
    ],
)
def test_large_bursts_are_for_servers_that_are_known_to_take_them(
    features: frozenset[str], plain: Allowance, encrypted: Allowance
) -> None:
    for told in (features, features | TLS if features else features):
        profile = ServerProfile(features=told)
        assert profile.allowance(encrypted=False) == plain
        assert profile.allowance(encrypted=True) == encrypted
