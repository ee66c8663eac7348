"""Settings of Redis beyond its URL: how long runs are kept, and how TLS is spoken."""

from __future__ import annotations

from pathlib import Path

import pytest

from siteferry.errors import ConfigurationError
from siteferry.settings import RedisSettings, load_settings, refuse_password_in_url
from siteferry.settings.redis_tls import tls_of
from tests.refusal import refusal


@pytest.mark.parametrize(
    ("written", "seconds"), [("30d", 2_592_000), ("12 h", 43_200), ("90m", 5_400), ("3600S", 3_600)]
)
def test_durations_are_numbers_with_a_unit(written: str, seconds: int) -> None:
    assert RedisSettings.model_validate({"keep_runs": written}).keep_runs == seconds


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("30", "such as 30d, 12h, 45m or 90s"),
        ("1.5d", "such as 30d"),
        ("-1d", "such as 30d"),
        ("30 days", "such as 30d"),
        ("59m", "3600"),
    ],
)
def test_a_duration_that_is_none_or_too_short_is_told(
    written: str, words: str, tmp_path: Path
) -> None:
    file = tmp_path / "siteferry.yaml"
    file.write_text(f"redis: {{keep_runs: '{written}'}}")
    message = refusal(lambda: load_settings(file, {}))
    assert words in message
    assert "keep_runs" in message


def test_a_number_without_a_unit_is_no_duration(tmp_path: Path) -> None:
    file = tmp_path / "siteferry.yaml"
    file.write_text("redis: {keep_runs: 2592000}")
    assert "such as 30d" in refusal(lambda: load_settings(file, {}))


@pytest.mark.parametrize("option", ["ssl_cert_reqs=none", "db=1&SSL_check_hostname=false"])
def test_a_url_that_would_change_the_checks_is_refused(option: str, tmp_path: Path) -> None:
    url = f"rediss://h:1/0?{option}"
    file = tmp_path / "siteferry.yaml"
    file.write_text(f"redis: {{url: '{url}'}}")
    assert "ssl_ options" in refusal(lambda: load_settings(file, {}))
    with pytest.raises(ConfigurationError, match="ssl_ options"):
        refuse_password_in_url(url)


def test_tls_is_checked_unless_that_is_denied_in_so_many_words() -> None:
    checked = tls_of(RedisSettings(), "rediss://h")
    assert checked is not None
    assert checked.options() == {"ssl_cert_reqs": "required", "ssl_check_hostname": True}
    unchecked = tls_of(RedisSettings(verify=False), "rediss://h")
    assert unchecked is not None
    assert unchecked.options() == {"ssl_cert_reqs": "none", "ssl_check_hostname": False}


@pytest.mark.parametrize("url", ["redis://h", "unix:///run/redis.sock"])
def test_without_rediss_none_is_spoken(url: str) -> None:
    assert tls_of(RedisSettings(), url) is None


def test_a_key_without_its_certificate_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"key_file stands without redis\.cert_file"):
        tls_of(RedisSettings(key_file=tmp_path / "key.pem"), "rediss://h")
