"""Names of accounts and targets: what locks, limits and messages call them. Never a secret."""

from __future__ import annotations

import posixpath

from siteferry.settings.expansion import EnvironmentText
from siteferry.settings.references import CredentialReference
from siteferry.websites.models import Website

USERNAME_KEY = "FTP_USERNAME"
PASSWORD_KEY = "FTP_PASSWORD"  # noqa: S105 - the name of an entry


def account(website: Website) -> str:
    """One user on one host: `user@host:port`, the host in lower case.

    Where the user's name is in a store or in the environment, the reference stands for it, for
    whoever starts a run cannot know it.
    """
    user = website.ftp.username
    if user is None:
        user = str(CredentialReference(None, website.name, USERNAME_KEY))
    elif isinstance(user, EnvironmentText):
        user = user.text
    host = website.ftp.host  # in lower case already
    return f"{user}@{f'[{host}]' if ':' in host else host}:{website.ftp.port}"


def target(website: Website) -> str:
    """What one run at a time may change: the account and its remote directory.

    A relative directory counts as one below `/`: on most hosts the login begins there, and two
    names for one directory would let two runs into it.
    """
    return account(website) + normal_remote_dir(website.ftp.remote_dir)


def normal_remote_dir(path: str) -> str:
    """The directory with one leading slash, no trailing one, and none doubled."""
    return posixpath.normpath("/" + path.strip("/"))
