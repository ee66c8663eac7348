"""Process settings: `config/siteferry.yaml` and the environment, read into frozen values."""

from siteferry.settings.loading import (
    examine_settings,
    load_settings,
    override_redis_url,
    select_store,
)
from siteferry.settings.models import (
    BatchSettings,
    LogSettings,
    Paths,
    RedisSettings,
    Settings,
    WorkerSettings,
)
from siteferry.settings.problems import Problem
from siteferry.settings.redis_url import refuse_password_in_url
from siteferry.settings.stores import CredentialSettings

__all__ = [
    "BatchSettings",
    "CredentialSettings",
    "LogSettings",
    "Paths",
    "Problem",
    "RedisSettings",
    "Settings",
    "WorkerSettings",
    "examine_settings",
    "load_settings",
    "override_redis_url",
    "refuse_password_in_url",
    "select_store",
]
