"""A new key for an encrypted store, while workers go on reading."""

from __future__ import annotations

from pathlib import Path

from siteferry.credentials.encrypted_store import EncryptedStore
from siteferry.credentials.file_format import seal
from siteferry.credentials.file_keys import KeyFile, KeySource, Passphrase
from siteferry.credentials.keyring import MAKE_A_KEY, new_key
from siteferry.errors import CredentialAbsent, CredentialReadOnly
from siteferry.settings import Settings


def rotate_key(settings: Settings, *, drop_old: bool = False) -> int:
    """Encrypt all entries with a new key, which goes to the head of the key file.

    The older keys stay there, for copies of the store elsewhere and for other stores with the same
    key file, until a later call with `drop_old`: that makes no new key, encrypts all entries with
    the first one, and then takes the others out. Either step, killed at any moment, leaves a store
    that can be read, and can be done again.

    Returns:
        How many entries were encrypted again.

    Raises:
        CredentialReadOnly: the key is not in the key file (what to do by hand is told), or a file
            cannot be written.
        CredentialAbsent: there is no store yet.
        CredentialDenied, CredentialMalformed, CredentialUnreachable: as for `EncryptedStore.open`.
        ConfigurationError: as for `EncryptedStore.of`.
    """
    store = EncryptedStore.of(settings)
    source, file = store.source, store.file
    if not isinstance(source, KeyFile):
        raise CredentialReadOnly(
            f"the key comes from {source.origin}, which siteferry cannot change",
            next_step=_by_hand(source, store.path),
        )
    if store.open() is None:
        raise _no_store(store.path)
    with file.changing(), source.file.changing():
        opened = store.open()
        if opened is None:
            raise _no_store(store.path)
        keyring = source.keyring(None)
        if not drop_old:
            keyring = source.write((new_key(), *keyring.keys))
        file.replace(seal(opened.entries, keyring))
        if drop_old and len(keyring.keys) > 1:
            source.write(keyring.keys[:1])
    return len(opened.entries)


def _by_hand(source: KeySource, store: Path) -> str:
    if isinstance(source, Passphrase):
        return (
            "By hand: note the names that `siteferry credential list` shows, move "
            f"{store} away, set the new passphrase, add each entry again with `siteferry "
            "credential add SITE KEY`, and restart the workers."
        )
    return (
        "By hand: put a new key in front of the old one, with a blank or a line end between them, "
        "restart the workers, store any one entry again with `siteferry credential add SITE KEY` "
        "(that encrypts all entries with the first key), then take the old key out. "
        f"{MAKE_A_KEY}"
    )


def _no_store(path: Path) -> CredentialAbsent:
    return CredentialAbsent(
        f"there is no credential store {path} yet, and so no key to change",
        next_step="The first entry makes both: siteferry credential add SITE KEY",
    )
