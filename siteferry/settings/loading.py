"""From `siteferry.yaml` and the environment to `Settings`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from siteferry.errors import ConfigurationError
from siteferry.settings.document import Document, Positions, read_document
from siteferry.settings.draft import FLOWER_PASSWORD, PASSWORD, TOKEN, SettingsDraft
from siteferry.settings.models import Settings
from siteferry.settings.problems import Problem, configuration_error, problems_of
from siteferry.settings.redis_url import refuse_password_in_url, split_redis_url

DEFAULT_FILE = Path("config/siteferry.yaml")


def load_settings(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings of this process.

    `path` None means `SITEFERRY_CONFIG`, then `./config/siteferry.yaml`; where only that last one
    is missing, the defaults hold, with `./workspaces` and `./config/websites`. The environment's
    `SITEFERRY_REDIS_URL`, `SITEFERRY_REDIS_PASSWORD`, `SITEFERRY_METRICS_TOKEN`,
    `SITEFERRY_FLOWER_PASSWORD`, `…_FILE` of these three, `SITEFERRY_CREDENTIAL_BACKEND` and
    `SITEFERRY_HEALTH_DIR` go before the file. `environ` takes the place of `os.environ`.

    Raises:
        ConfigurationError: a file named explicitly is missing, or something in it is not as it
            must be; all problems are told, each with file, line and key, none with a value.
    """
    settings, problems = examine_settings(path, environ)
    if settings is None:
        raise configuration_error(problems)
    return settings


def settings_file(path: Path | None, environ: Mapping[str, str]) -> tuple[Path, bool]:
    """The settings file that counts, and whether it was named explicitly."""
    named = path or (Path(environ["SITEFERRY_CONFIG"]) if environ.get("SITEFERRY_CONFIG") else None)
    return (named, True) if named else (DEFAULT_FILE, False)


def examine_settings(
    path: Path | None, environ: Mapping[str, str] | None = None
) -> tuple[Settings | None, list[Problem]]:
    """As `load_settings`, with the problems as values; exactly one of the two is there.

    Raises:
        ConfigurationError: a file that was named explicitly is missing, or nobody can say whether
            there is one.
    """
    env = os.environ if environ is None else environ
    file, explicit = settings_file(path, env)
    if _is_there(file):
        return settings_of(read_document(file), file, env)
    if explicit:
        raise ConfigurationError(
            f"there is no configuration file {file}",
            next_step="Correct --config or SITEFERRY_CONFIG, or write one with: "
            "siteferry init SITE.",
        )
    return settings_of(Document(Positions("(defaults)"), {}), file, env)


def _is_there(file: Path) -> bool:
    """Not `Path.exists`: of a folder that may not be entered it says, from Python 3.14 on, that
    the file is not there, and the defaults would hold."""
    try:
        file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise ConfigurationError(
            f"the configuration file {file} cannot be looked at: {error.strerror}",
            next_step=f"Let this process's user (uid {os.geteuid()}) enter and read its folder: "
            "chmod -R go+rX FOLDER.",
        ) from error
    return True


def override_redis_url(settings: Settings, url: str) -> Settings:
    """The settings with the `--redis` URL of a command line.

    Raises:
        ConfigurationError: it carries a password, or is no Redis URL.
    """
    refuse_password_in_url(url)
    address = split_redis_url(url)
    if address is None:
        return settings
    changes: dict[str, Any] = {"url": address.url}
    if address.username is not None:
        changes["username"] = address.username
    return settings.model_copy(update={"redis": settings.redis.model_copy(update=changes)})


def select_store(settings: Settings, backend: str) -> Settings:
    """The settings with the `--credential-backend` of a command line."""
    credentials = settings.credentials.model_copy(update={"backend": backend})
    return settings.model_copy(update={"credentials": credentials})


def settings_of(
    document: Document, file: Path, environ: Mapping[str, str]
) -> tuple[Settings | None, list[Problem]]:
    """Check a document as the content of `file`, which need not exist."""
    folder = file.absolute().parent
    draft = SettingsDraft(document, folder.parent if folder.name == "config" else folder)
    draft.expand(environ)
    if not document.readable:
        return None, draft.problems
    draft.check_defaults()
    draft.fill_paths(folder, environ)
    draft.take_redis(environ)
    draft.take_secrets_of_one_process(environ)
    draft.take_credentials(environ)
    settings = None
    try:
        settings = Settings.model_validate(draft.data, context={"base": draft.base})
    except ValidationError as error:
        draft.problems += problems_of(error, Settings, draft.locate, draft.reported)
    if settings is None or draft.problems:
        return None, draft.problems
    settings._positions = document.positions
    settings._file = file.absolute() if _is_there(file) else None
    settings._base = draft.base
    settings.redis._password_reference = draft.references.get(PASSWORD)
    settings.metrics._token_reference = draft.references.get(TOKEN)
    settings.metrics._token_unset = draft.unset.get(TOKEN)
    settings.flower._password_reference = draft.references.get(FLOWER_PASSWORD)
    settings.flower._password_unset = draft.unset.get(FLOWER_PASSWORD)
    return settings, []
