"""Where the key of the encrypted store comes from: one variable of the environment, else a file.

| first of                               | holds                                                |
| -------------------------------------- | ---------------------------------------------------- |
| SITEFERRY_CREDENTIAL_KEY               | Fernet keys, with blanks between them                |
| SITEFERRY_CREDENTIAL_KEY_FILE          | the path of a file with Fernet keys                  |
| SITEFERRY_CREDENTIAL_PASSPHRASE        | a passphrase                                         |
| SITEFERRY_CREDENTIAL_PASSPHRASE_FILE   | the path of a file with a passphrase                 |
| credentials.file.key_file (settings)   | Fernet keys, one a line; made by the first `store`   |

An empty variable counts as unset, and two that are set are an error. A file that a variable names
is mounted by a container platform, which chooses its mode (Docker 0444, Kubernetes 0644); the key
file of the settings is ours and has to be 0600.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from siteferry.credentials.keyring import Keyring, Stretching, new_key
from siteferry.credentials.private_file import PrivateFile
from siteferry.credentials.secret_file import read_secret_file
from siteferry.errors import CredentialDenied, CredentialMalformed
from siteferry.secret import Secret

KEY = "SITEFERRY_CREDENTIAL_KEY"
PASSPHRASE = "SITEFERRY_CREDENTIAL_PASSPHRASE"  # noqa: S105  # the name of a variable
FILE_SUFFIX = "_FILE"


class KeySource(ABC):
    """One of the five; nothing is read before a keyring is asked for."""

    @property
    @abstractmethod
    def origin(self) -> str:
        """The variable or the file, for messages."""

    @abstractmethod
    def keyring(self, stretching: Stretching | None) -> Keyring:
        """The keys for a store whose key was made so (None: not from a passphrase).

        Raises:
            CredentialDenied: there is no key, it may not be read, or it is of the other kind.
            CredentialMalformed: what is there is no key.
            CredentialUnreachable: reading it fails.
        """

    @abstractmethod
    def first_keyring(self) -> Keyring:
        """The keys for a store that is about to be made. Raises as `keyring`, and
        CredentialReadOnly where a new key cannot be written."""


@dataclass(frozen=True, slots=True)
class VariableKeys(KeySource):
    """Fernet keys in the environment."""

    text: Secret
    variable: str

    @property
    def origin(self) -> str:
        return self.variable

    def keyring(self, stretching: Stretching | None) -> Keyring:
        _refuse_stretched(stretching, self.variable)
        return self.first_keyring()

    def first_keyring(self) -> Keyring:
        return Keyring.of_text(_content(self.text, self.variable).reveal(), self.variable)


@dataclass(frozen=True, slots=True)
class Passphrase(KeySource):
    """A passphrase in the environment; each store has its own salt."""

    text: Secret
    variable: str

    @property
    def origin(self) -> str:
        return self.variable

    def keyring(self, stretching: Stretching | None) -> Keyring:
        if stretching is None:
            raise CredentialDenied(
                f"the credential store is encrypted with a key, and {self.variable} is set",
                next_step=f"Unset it, and give the key by the key file or {KEY}.",
            )
        content = _content(self.text, self.variable)
        return Keyring.of_passphrase(content, stretching, self.variable)

    def first_keyring(self) -> Keyring:
        return self.keyring(Stretching.anew())


@dataclass(frozen=True, slots=True)
class KeyFile(KeySource):
    """The key file of the settings."""

    path: Path

    @property
    def origin(self) -> str:
        return str(self.path)

    @property
    def file(self) -> PrivateFile:
        return PrivateFile.at(self.path, "credential key")

    def keyring(self, stretching: Stretching | None) -> Keyring:
        _refuse_stretched(stretching, self.origin)
        keyring = self.present_keyring()
        if keyring is None:
            raise CredentialDenied(
                f"the key of the credential store is missing: there is no {self.path}",
                next_step=f"Put it back from a backup, or give the key by {KEY} or "
                f"{KEY}{FILE_SUFFIX}; without it nobody can read the store.",
            )
        return keyring

    def present_keyring(self) -> Keyring | None:
        """None where there is no such file."""
        content = self.file.read()
        if content is None:
            return None
        return Keyring.of_text(content.decode("ascii", "replace"), self.origin)

    def first_keyring(self) -> Keyring:
        """Makes the file where it is missing; a file that is there is never overwritten."""
        with self.file.changing():
            keyring = self.present_keyring()
            return keyring or self.write((new_key(),))

    def write(self, keys: tuple[Secret, ...]) -> Keyring:
        """Replace the keys; needs the lock of `file`."""
        self.file.replace("".join(f"{key.reveal()}\n" for key in keys).encode())
        return Keyring(self.origin, keys)


def choose_source(key_file: Path, environ: Mapping[str, str]) -> KeySource:
    """The place of the key; `key_file` is that of the settings.

    Raises:
        CredentialMalformed: two variables are set.
    """
    names = (KEY, KEY + FILE_SUFFIX, PASSPHRASE, PASSPHRASE + FILE_SUFFIX)
    given = [name for name in names if environ.get(name)]
    if len(given) > 1:
        raise CredentialMalformed(
            f"{' and '.join(given)} are set, and only one may be", next_step="Unset the others."
        )
    if not given:
        return KeyFile(key_file)
    kind = VariableKeys if given[0].startswith(KEY) else Passphrase
    return kind(Secret(environ[given[0]]), given[0])


def _content(text: Secret, variable: str) -> Secret:
    """The value of the variable, or of the file that it names."""
    if not variable.endswith(FILE_SUFFIX):
        # What is not UTF-8 in the environment stands as surrogates in a text (os.environ).
        if any("\ud800" <= char <= "\udfff" for char in text.reveal(masked=False)):
            raise CredentialMalformed(
                f"{variable} is not UTF-8 text", next_step="Set it in a UTF-8 locale."
            )
        return text
    content = read_secret_file(Path(text.reveal(masked=False)), f"the file that {variable} names")
    if not content:
        raise CredentialMalformed(
            f"{variable} names no file, or an empty one",
            next_step="Set it to the path of a file with the value.",
        )
    return content


def _refuse_stretched(stretching: Stretching | None, origin: str) -> None:
    if stretching is not None:
        raise CredentialDenied(
            f"the credential store is encrypted with a passphrase, and {origin} is a key",
            next_step=f"Set {PASSPHRASE} or {PASSPHRASE}{FILE_SUFFIX}, and no {KEY}.",
        )
