"""The settings' document on its way to being checked: expanded, with what the environment adds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from siteferry.health.place import VARIABLE as HEALTH_VARIABLE
from siteferry.secret import Secret
from siteferry.settings.document import Document
from siteferry.settings.expansion import expand_tree
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
_SECRETS = {PASSWORD: "SITEFERRY_REDIS_PASSWORD", TOKEN: "SITEFERRY_METRICS_TOKEN"}
"""Where a secret may stand, and the environment variable that goes before it."""
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
    """

    document: Document
    base: Path
    data: dict[str, Any] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    reported: list[KeyPath] = field(default_factory=list)
    references: dict[KeyPath, CredentialReference] = field(default_factory=dict)

    def locate(self, path: KeyPath) -> tuple[str, int | None, KeyPath]:
        return self.document.positions.origin, self.document.positions.line(path), path

    def fault(self, path: KeyPath, message: str) -> None:
        self.problems.append(problem_at(path, message, self.locate))
        if path:
            self.reported.append(path)

    def expand(self, environ: Mapping[str, str]) -> None:
        def keep(path: KeyPath, text: str) -> bool:
            # `defaults` are expanded with the website that they go into.
            is_secret = path in _SECRETS or path == FLOWER_PASSWORD
            return path[0] == "defaults" or (is_secret and mentions_credential(text))

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
        self._check_secret(redis, PASSWORD)
        self._take_url(redis, environ)
        self._take_secret(redis, PASSWORD, environ)

    def take_metrics(self, environ: Mapping[str, str]) -> None:
        """The token from the environment or the file."""
        metrics = self.data.setdefault("metrics", {})
        if isinstance(metrics, dict):
            self._check_secret(metrics, TOKEN)
            self._take_secret(metrics, TOKEN, environ)

    def _check_secret(self, part: dict[str, Any], path: KeyPath) -> None:
        block, key = path
        if {key, f"{key}_file"} <= part.keys():
            self.fault((block, f"{key}_file"), f"stands beside `{key}`; one of them is right")

    def _take_secret(self, part: dict[str, Any], path: KeyPath, environ: Mapping[str, str]) -> None:
        """Put the secret in, or keep where it is; the environment goes before the file."""
        block, key = str(path[0]), str(path[1])
        secret = self._secret_of_environment(_SECRETS[path], environ)
        reference_or_text = part.get(key)
        if secret is not None:
            part[key] = secret
        elif isinstance(reference_or_text, str) and mentions_credential(reference_or_text):
            del part[key]
            reference = parse_reference(reference_or_text)
            if reference is None:
                self.fault(path, f"must be {FORM}")
            else:
                self.references[path] = reference
        elif key not in part and isinstance(part.get(f"{key}_file"), str):
            found = self._read_secret(self.base / user_path(part[f"{key}_file"]))
            if isinstance(found, Secret):
                part[key] = found
            else:
                self.fault((block, f"{key}_file"), found)

    def take_flower(self, environ: Mapping[str, str]) -> None:
        """Flower's password: from the environment before the file. What stands in a file of its
        own is read by Flower alone: no other process need see it."""
        flower = self.data.get("flower", {})
        if not isinstance(flower, dict):
            return
        if {"password", "password_file"} <= flower.keys():
            self.fault(
                ("flower", "password_file"), "stands beside `password`; one of them is right"
            )
        variable = "SITEFERRY_FLOWER_PASSWORD"
        plain, file = environ.get(variable), environ.get(f"{variable}_FILE")
        if plain and file:
            self._environment_fault(variable, "is set beside its _FILE variant; unset one of them")
        elif plain:
            flower = {**flower, "password": Secret(plain), "password_file": None}
        elif file:
            path = str(Path(file).absolute())
            flower = {**flower, "password": None, "password_file": path}
        text = flower.get("password")
        if isinstance(text, str) and mentions_credential(text):
            flower = {**flower, "password": None}
            reference = parse_reference(text)
            if reference is None:
                self.fault(FLOWER_PASSWORD, f"must be {FORM}")
            else:
                self.references[FLOWER_PASSWORD] = reference
        if flower:
            self.data["flower"] = flower

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

    def _secret_of_environment(self, name: str, environ: Mapping[str, str]) -> Secret | None:
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
