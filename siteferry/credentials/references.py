"""Which entries a website's login is kept under."""

from __future__ import annotations

from siteferry.websites import PASSWORD_KEY, USERNAME_KEY, CredentialReference, Website


def username_reference(website: Website) -> CredentialReference:
    """The reference in the website's file; without one, `<site>/FTP_USERNAME`."""
    return _reference(website.ftp.username, website.name, USERNAME_KEY)


def password_reference(website: Website) -> CredentialReference:
    """The reference in the website's file; without one, `<site>/FTP_PASSWORD`."""
    return _reference(website.ftp.password, website.name, PASSWORD_KEY)


def password_warning(site: str) -> str:
    """What is said of a website whose password stands in its file."""
    return (
        f"a password stands in the file of website {site}; move it into the credential store: "
        f"siteferry credential migrate {site}"
    )


def _reference(written: object, site: str, key: str) -> CredentialReference:
    if isinstance(written, CredentialReference):
        return written
    return CredentialReference(None, site, key)
