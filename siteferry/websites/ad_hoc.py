"""Websites without a file: a directory and a server, as a command line names them.

Such a website travels with its run, in the run's options in the ledger, so that every worker sees
the same. What `defaults` of the settings say is for website files and not for these.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any

from siteferry.settings.expansion import EnvironmentText
from siteferry.settings.references import LONGEST_NAME, CredentialReference
from siteferry.websites.ad_hoc_url import IMPLICIT_PORT, AdHocSecurity
from siteferry.websites.loading import website_from_mapping
from siteferry.websites.models import Website
from siteferry.websites.naming import PASSWORD_KEY

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST_ACCOUNT = 80
"""Characters of an account's name, so that something is left for the directory."""


@dataclass(frozen=True, slots=True)
class AdHocWebsite:
    """A directory, and where it goes. No secret is in it.

    source, ca_file: absolute local paths.
    brought: the command that started the run has the password from its user, and has brought it to
        its own worker, in the environment; else workers ask the selected store for it.
    """

    source: str
    security: AdHocSecurity
    username: str
    host: str
    port: int
    remote_dir: str
    ca_file: str | None = None
    fingerprint: str | None = None
    brought: bool = False

    @property
    def credential(self) -> str:
        """The site under which a store keeps the account's password: `user-at-host`, with `-port`
        behind it unless that is 21 or 990.

        Where that could be another account as well, or is no name, eight digits of the account's
        SHA-256 follow, for no host may ever be sent the password of another.
        """
        # A host's two usual ports are two ways into one server.
        port = 21 if self.port == IMPLICIT_PORT else self.port
        written = f"{self.username}-at-{self.host}" + ("" if port == 21 else f"-{port}")
        name = _UNSAFE.sub("-", written).lstrip(".-")[:_LONGEST_ACCOUNT]
        if name == written and _read_back(name) == (self.username, self.host, port):
            return name
        whole = f"{self.username}@{self.host}:{port}".encode("utf-8", "surrogateescape")
        return f"{name}-{hashlib.sha256(whole).hexdigest()[:8]}"

    @property
    def site(self) -> str:
        """What reports call the website: the account, and the directory with `-` for `/`."""
        directory = _UNSAFE.sub("-", self.remote_dir).strip("-")
        name = f"{self.credential}-{directory}" if directory else self.credential
        return name[:LONGEST_NAME]

    @property
    def account_text(self) -> str:
        """User and host for a message."""
        return f"{self.username} at {self.host}"

    def website(self) -> Website:
        """The website as its steps want it, with the defaults of a website's file.

        Raises:
            ConfigurationError: the host, the directory or a path cannot be one.
        """
        backend = "environment" if self.brought else None
        ftp: dict[str, Any] = {
            "host": self.host,
            "port": self.port,
            "security": self.security,
            # Not plain text, in whose place a store's FTP_USERNAME would count.
            "username": EnvironmentText(_literal(self.username)),
            "password": CredentialReference(backend, self.credential, PASSWORD_KEY),
            "remote_dir": _literal(self.remote_dir),
        }
        if self.ca_file is not None:
            ftp["ca_file"] = _literal(self.ca_file)
        if self.fingerprint is not None:
            ftp["fingerprint"] = _literal(self.fingerprint)
        identity = {"name": self.site, "workspace": _literal(self.source)}
        data = {"website": identity, "ftp": ftp, "sources": [{"path": "."}]}
        return website_from_mapping(data, f"(the URL of {self.site})", environ={})


def _read_back(name: str) -> tuple[str, str, int] | None:
    """The account that a reader of the name would think of first."""
    found = re.fullmatch(r"(?P<user>.+?)-at-(?P<host>.+?)(?:-(?P<port>\d+))?", name)
    return (found["user"], found["host"], int(found["port"] or 21)) if found else None


def _literal(text: str) -> str:
    """The text with nothing in it that a file's variables are made of."""
    return text.replace("${", "$${")
