"""Website files: `config/websites/*.yaml`, read into frozen values."""

from siteferry.settings.expansion import EnvironmentText
from siteferry.settings.references import CredentialReference
from siteferry.websites.choosing import Chosen, choose_websites
from siteferry.websites.loading import (
    examine_website,
    list_websites,
    load_website,
    website_files,
    website_from_mapping,
)
from siteferry.websites.models import (
    AfterStep,
    Chmod,
    Delete,
    FtpTarget,
    Schedule,
    Source,
    Timeouts,
    VerifyCheck,
    Website,
)
from siteferry.websites.naming import PASSWORD_KEY, USERNAME_KEY, account, target
from siteferry.websites.presence import check_sources
from siteferry.websites.values import DeleteLimit

__all__ = [
    "PASSWORD_KEY",
    "USERNAME_KEY",
    "AfterStep",
    "Chmod",
    "Chosen",
    "CredentialReference",
    "Delete",
    "DeleteLimit",
    "EnvironmentText",
    "FtpTarget",
    "Schedule",
    "Source",
    "Timeouts",
    "VerifyCheck",
    "Website",
    "account",
    "check_sources",
    "choose_websites",
    "examine_website",
    "list_websites",
    "load_website",
    "target",
    "website_files",
    "website_from_mapping",
]
