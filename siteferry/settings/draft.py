"""The settings' document on its way to being checked: expanded, with what the environment adds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from siteferry.health.place import VARIABLE as HEALTH_VARIABLE
from siteferry.secret import Secret
from siteferry.settings.document import Document
from siteferry.settings.expansion import NotExpandable, expand, expand_tree
from siteferry.settings.models import Settings, default_state_dir
from siteferry.settings.nodes import KeyPath
from siteferry.settings.problems import Problem, problem_at, without_nulls
from siteferry.settings.redis_url import split_redis_url
from siteferry.settings.references import (
    FORM,
    CredentialReference,
    mentions_credential,
    parse_reference,
)
from siteferry.settings.stores import default_key_file
from siteferry.settings.values import user_path

PASSWORD: KeyPath = ("redis", "password")
TOKEN: KeyPath = ("metrics", "token")
FLOWER_PASSWORD: KeyPath = ("flower", "password")
_OF_ONE_PROCESS = {
    TOKEN: "SITEFERRY_METRICS_TOKEN",
    FLOWER_PASSWORD: "SITEFERRY_FLOWER_PASSWORD",
}
"""Secrets that one kind of process needs, and the environment variable that goes before each. All
others neither read nor miss them: what is not there is told to who asks for it."""
_NOT_IN_DEFAULTS: tuple[tuple[KeyPath, str], ...] = (
    (("ftp", "username"), "a login belongs in its website's file"),
    (("ftp", "password"), "a login belongs in its website's file"),
    (("website",), "names one website; it belongs in that website's file"),
    (("hostinger",), "is called `ftp` here"),
)


@dataclass
class SettingsDraft:
    """The document on its way to being checked.

    reported: paths that need no second word. references: where secrets are kept, by their paths.
    unset: what keeps secrets of one process from being put together from the environment.
    """

    document: Document
    base: Path
    data: dict[str, Any] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    reported: list[KeyPath] = field(default_factory=list)
    references: dict[KeyPath, CredentialReference] = field(default_factory=dict)
    unset: dict[KeyPath, str] = field(default_factory=dict)

    def locate(self, path: KeyPath) -> tuple[str, int | None, KeyPath]:
        return self.document.positions.origin, self.document.positions.line(path), path

    def fault(self, path: KeyPath, message: str) -> None:
        self.problems.append(problem_at(path, message, self.locate))
        if path:
            self.reported.append(path)

    def expand(self, environ: Mapping[str, str]) -> None:
        def keep(path: KeyPath, text: str) -> bool:
            # `defaults` are expanded with the website that they go into.
            if path[0] == "defaults" or path in _OF_ONE_PROCESS:
                return True
            return path == PASSWORD and mentions_credential(text)

        expanded, faults = expand_tree(self.document.data, environ, keep)
        self.data = without_nulls(expanded, Settings)
        for path, message in (*self.document.faults, *faults):
            self.fault(path, message)

    def check_defaults(self) -> None:
        for path, message in _NOT_IN_DEFAULTS:
            at: Any = self.data.get("defaults")
            for part in path:
                at = at.get(part) if isinstance(at, dict) else None
            if at is not None:
                self.fault(("defaults", *path), message)

    def fill_paths(self, folder: Path, environ: Mapping[str, str]) -> None:
        paths = self.data.setdefault("paths", {})
        if isinstance(paths, dict):
            paths.setdefault("workspaces", "workspaces")
            paths.setdefault("websites", str(folder / "websites"))
        self.data.setdefault("state_dir", str(default_state_dir(environ)))
        self._take_health_dir(environ)
        credentials = self.data.setdefault("credentials", {})
        store = credentials.setdefault("file", {}) if isinstance(credentials, dict) else None
        if isinstance(store, dict):
            store.setdefault("path", "credentials/store.json")
            store.setdefault("key_file", str(default_key_file(environ)))

    def _take_health_dir(self, environ: Mapping[str, str]) -> None:
        named = environ.get(HEALTH_VARIABLE)
        if named and not Path(named).is_absolute():
            # The probe, which takes it as well, knows no other folder to start from.
            self._environment_fault(HEALTH_VARIABLE, "must be an absolute path")
        elif named:
            self.data["health_dir"] = named

    def take_credentials(self, environ: Mapping[str, str]) -> None:
        """The environment selects the store before the file does."""
        selected = environ.get("SITEFERRY_CREDENTIAL_BACKEND")
        credentials = self.data.setdefault("credentials", {})
        if selected and isinstance(credentials, dict):
            credentials["backend"] = selected

    def take_redis(self, environ: Mapping[str, str]) -> None:
        """Put URL, login and password together from the environment and the file."""
        redis = self.data.setdefault("redis", {})
        if not isinstance(redis, dict):
            return
        if {"password", "password_file"} <= redis.keys():
            self.fault(("redis", "password_file"), "stands beside `password`; one of them is right")
        self._take_url(redis, environ)
        password = self._password_of_environment(environ)
        reference_or_text = redis.get("password")
        if password is not None:
            redis["password"] = password
        elif isinstance(reference_or_text, str) and mentions_credential(reference_or_text):
            del redis["password"]
            self._refer(PASSWORD, reference_or_text)
        elif "password" not in redis and isinstance(redis.get("password_file"), str):
            found = self._read_secret(self.base / user_path(redis["password_file"]))
            if isinstance(found, Secret):
                redis["password"] = found
            else:
                self.fault(("redis", "password_file"), found)

    def take_secrets_of_one_process(self, environ: Mapping[str, str]) -> None:
        """The token of the metrics and Flower's password: where each is to be had."""
        for (block, key), variable in _OF_ONE_PROCESS.items():
            part = self.data.get(str(block), {})
            if isinstance(part, dict):
                taken = self._taken(part, str(block), str(key), variable, environ)
                if taken:
                    self.data[str(block)] = taken

    def _taken(
        self,
        part: dict[str, Any],
        block: str,
        key: str,
        variable: str,
        environ: Mapping[str, str],
    ) -> dict[str, Any]:
        if {key, f"{key}_file"} <= part.keys():
            self.fault((block, f"{key}_file"), f"stands beside `{key}`; one of them is right")
        plain, file = environ.get(variable), environ.get(f"{variable}_FILE")
        if plain and file:
            self._environment_fault(variable, "is set beside its _FILE variant; unset one of them")
        elif plain:
            return {**part, key: Secret(plain), f"{key}_file": None}
        elif file:
            return {**part, key: None, f"{key}_file": str(Path(file).absolute())}
        text = part.get(key)
        if not isinstance(text, str):
            return part
        if mentions_credential(text):
            self._refer((block, key), text)
            return {**part, key: None}
        try:
            return {**part, key: expand(text, environ)}
        except NotExpandable as error:
            self.unset[block, key] = str(error)
            return {**part, key: None}

    def _refer(self, path: KeyPath, text: str) -> None:
        reference = parse_reference(text)
        if reference is None:
            self.fault(path, f"must be {FORM}")
        else:
            self.references[path] = reference

    def _take_url(self, redis: dict[str, Any], environ: Mapping[str, str]) -> None:
        named = environ.get("SITEFERRY_REDIS_URL")
        address = split_redis_url(named) if named else None
        if named and address is None:
            self._environment_fault("SITEFERRY_REDIS_URL", "must be a redis, rediss or unix URL")
            return
        if address is None and isinstance(redis.get("url"), str):
            address = split_redis_url(redis["url"])
        if address is None:
            return
        redis["url"] = address.url
        from_environment = bool(named)
        for key, value in (("username", address.username), ("password", address.password)):
            if value is not None and (from_environment or key not in redis):
                redis[key] = value

    def _password_of_environment(self, environ: Mapping[str, str]) -> Secret | None:
        name = "SITEFERRY_REDIS_PASSWORD"
        plain, file = environ.get(name), environ.get(f"{name}_FILE")
        if plain and file:
            self._environment_fault(name, "is set beside its _FILE variant; unset one of them")
        if plain:
            return Secret(plain)
        if not file:
            return None
        found = self._read_secret(Path(file))
        if isinstance(found, Secret):
            return found
        self._environment_fault(f"{name}_FILE", found)
        return None

    @staticmethod
    def _read_secret(path: Path) -> Secret | str:
        """The file's content without its last line end, or what is wrong with it."""
        try:
            text = path.read_bytes().decode()
        except OSError as error:
            return f"names a file that cannot be read: {error.strerror}"
        except UnicodeDecodeError:
            return "names a file that is not UTF-8 text"
        except ValueError:  # a NUL in the path
            return "names no file"
        return Secret(text.removesuffix("\n").removesuffix("\r"))

    def _environment_fault(self, variable: str, message: str) -> None:
        self.problems.append(Problem("(environment)", None, variable, message))
