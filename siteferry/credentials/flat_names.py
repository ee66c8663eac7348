"""Names for stores that hold one secret for each entry and allow few characters in its name.

The name of an entry is `<prefix><site>--<key>`. Two entries never share a name:

- Where case counts, letters, digits and `_` stay: `shop/FTP_PASSWORD` is `shop--FTP_PASSWORD`.
- Where it does not, `a` to `z` and digits stay in the site, `A` to `Z` and digits in the key:
  `shop/FTP_PASSWORD` is `shop--FTP-5fPASSWORD`.
- Any other character becomes `-` and its code in two hexadecimal digits: `my-site` is
  `my-2dsite`. So a `-` with another behind it is always the border.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from siteferry.credentials.base import Entry, checked_entry
from siteferry.errors import CredentialMalformed

_BORDER = "--"
_PIECE = r"(?:-[0-9a-f]{2}|[A-Za-z0-9_])+"
_NAME = re.compile(rf"({_PIECE}){_BORDER}({_PIECE})")
_CODE = re.compile(r"-([0-9a-f]{2})|(.)")


@dataclass(frozen=True, slots=True)
class FlatNames:
    """The names in one store.

    prefix: in front of every name. longest: how many characters a name may have, with the prefix.
    case_counts: whether names that differ only in case are names of two secrets.
    """

    prefix: str
    longest: int
    case_counts: bool

    def name(self, entry: Entry) -> str:
        """The name of an entry's secret.

        Raises:
            CredentialMalformed: it would be too long for the store.
        """
        name = self.prefix + self._coded(entry)
        if len(name) > self.longest:
            raise CredentialMalformed(
                f"the credential {entry} would need a secret with a name of {len(name)} "
                f"characters, and the store takes {self.longest}",
                next_step="Shorten the site or the key; each character that is not kept in a "
                "name counts three.",
            )
        return name

    def entry(self, name: str) -> Entry | None:
        """The entry whose secret is called so; None for any other secret."""
        prefix, rest = name[: len(self.prefix)], name[len(self.prefix) :]
        if self._folded(prefix) != self._folded(self.prefix):
            return None
        # Folded, for the codes are in lower case; what stays gets its case from where it stands.
        found = _NAME.fullmatch(self._folded(rest))
        if found is None:
            return None
        site, key = (_decoded(piece, upper=False) for piece in found.groups())
        if not self.case_counts:
            key = _decoded(found[2], upper=True)
        try:
            entry = checked_entry(site, key)
        except CredentialMalformed:
            return None
        # The way back decides: what the rules would write otherwise is no entry's.
        return entry if self._folded(self._coded(entry)) == self._folded(rest) else None

    def _coded(self, entry: Entry) -> str:
        of_site, of_key = ("A-Za-z0-9_",) * 2 if self.case_counts else ("a-z0-9", "A-Z0-9")
        return f"{_coded(entry.site, of_site)}{_BORDER}{_coded(entry.key, of_key)}"

    def _folded(self, text: str) -> str:
        return text if self.case_counts else text.lower()


def _coded(text: str, stays: str) -> str:
    return re.sub(f"[^{stays}]", lambda found: f"-{ord(found[0]):02x}", text)


def _decoded(text: str, *, upper: bool) -> str:
    return "".join(
        chr(int(code, 16)) if code else (char.upper() if upper else char)
        for code, char in _CODE.findall(text)
    )
