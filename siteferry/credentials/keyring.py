"""The keys of an encrypted store: Fernet (AES-128-CBC and HMAC-SHA256), the first one encrypts."""

from __future__ import annotations

import base64
import hashlib
import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from siteferry.errors import CredentialMalformed
from siteferry.secret import Secret

FERNET_KEY_CHARS = 44
"""32 bytes in URL-safe base64."""

MAKE_A_KEY = "This makes a key: head -c 32 /dev/urandom | base64 | tr +/ -_"

_deriving = threading.Lock()


@dataclass(frozen=True, slots=True)
class Stretching:
    """How a passphrase becomes a key: scrypt (RFC 7914), 128 * n * r bytes of memory."""

    salt: str
    """16 bytes, in base64."""
    n: int = 2**16
    r: int = 8
    p: int = 2

    @classmethod
    def anew(cls) -> Stretching:
        return cls(base64.b64encode(os.urandom(16)).decode())


@dataclass(frozen=True, slots=True)
class Keyring:
    """Keys from one place, which `origin` names for messages. At least one key."""

    origin: str
    keys: tuple[Secret, ...]
    stretching: Stretching | None = None
    """What the one key was derived with, if from a passphrase."""

    @classmethod
    def of_text(cls, text: str, origin: str) -> Keyring:
        """From Fernet keys with blanks or line ends between them.

        Raises:
            CredentialMalformed: there is none, or one is no Fernet key; the position is told.
        """
        words = text.split()
        for number, word in enumerate(words, 1):
            if not _is_key(word):
                raise CredentialMalformed(
                    f"key {number} in {origin} is no Fernet key", next_step=MAKE_A_KEY
                )
        if not words:
            raise CredentialMalformed(f"{origin} holds no key", next_step=MAKE_A_KEY)
        return cls(origin, tuple(map(Secret, words)))

    @classmethod
    def of_passphrase(cls, passphrase: Secret, stretching: Stretching, origin: str) -> Keyring:
        """Slow at the first time (a quarter of a second, 64 MiB), then kept by this process."""
        with _deriving:  # not sixteen threads at once, each with 64 MiB
            return cls(origin, (_derived(passphrase, stretching),), stretching)

    @property
    def first_id(self) -> str:
        """A name for the first key that does not give it away."""
        return _key_id(self.keys[0])

    def encrypt(self, content: bytes) -> str:
        return _fernet(self.keys).encrypt(content).decode()

    def has(self, key_id: str) -> bool:
        return key_id in map(_key_id, self.keys)

    def decrypt(self, token: str) -> bytes | None:
        """What one of the keys has encrypted; None where `token` was made or changed by others."""
        try:
            return _fernet(self.keys).decrypt(token)
        except InvalidToken:
            return None


def new_key() -> Secret:
    return Secret(Fernet.generate_key().decode())


def _is_key(word: str) -> bool:
    try:
        Fernet(word)
    except ValueError:
        return False
    return len(word) == FERNET_KEY_CHARS and word.isascii()


def _fernet(keys: Iterable[Secret]) -> MultiFernet:
    return MultiFernet([Fernet(key.reveal()) for key in keys])


def _key_id(key: Secret) -> str:
    return hashlib.sha256(b"siteferry credential key\0" + key.reveal().encode()).hexdigest()[:16]


@lru_cache(maxsize=8)
def _derived(passphrase: Secret, how: Stretching) -> Secret:
    stretched = Scrypt(salt=base64.b64decode(how.salt), length=32, n=how.n, r=how.r, p=how.p)
    key = stretched.derive(passphrase.reveal().encode())
    return Secret(base64.urlsafe_b64encode(key).decode())
