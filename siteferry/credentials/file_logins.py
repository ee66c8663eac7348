"""Logins as they stand in the text of a website file, and how one is replaced in its place.

Only the characters of the value change: comments, order, quotes and line ends stay.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from siteferry.secret import Secret
from siteferry.settings.expansion import has_variables
from siteferry.settings.references import CredentialReference, mentions_credential
from siteferry.websites import PASSWORD_KEY, USERNAME_KEY

_BLOCKS = ("ftp", "hostinger")
_KEYS = {"username": USERNAME_KEY, "password": PASSWORD_KEY}


@dataclass(frozen=True, slots=True)
class FileLogin:
    """A user name or password in a file.

    where: as in `ftp.password`. line: from 1. key: the entry it belongs to. start, end: characters
    of the file's text. value: None where it is a reference or has variables. obstacle: why it
    cannot be replaced by a program, "" where it can.
    """

    where: str
    line: int
    key: str
    start: int
    end: int
    value: Secret | None
    obstacle: str = ""


def find_logins(text: str) -> list[FileLogin]:
    """The logins of a website file, in its order; none where it is no YAML or JSON mapping."""
    try:
        root = YAML(typ="safe", pure=True).compose(text)
    except YAMLError:
        return []
    return [
        login
        for block, node in _pairs(root)
        if block.value in _BLOCKS
        for login in _logins_in(str(block.value), node)
    ]


def _logins_in(block: str, node: Node) -> Iterator[FileLogin]:
    pairs = list(_pairs(node))
    names = [str(key.value) for key, _ in pairs]
    for key, value in pairs:
        if key.value in _KEYS and (login := _login(block, key, value)) is not None:
            twice = names.count(str(key.value)) > 1
            yield replace(login, obstacle="it stands there twice") if twice else login
        elif key.value == "<<":
            merged = value.value if isinstance(value, SequenceNode) else [value]
            for inner in (login for one in merged for login in _logins_in(block, one)):
                if inner.where.partition(".")[2] not in names:
                    yield replace(inner, obstacle="it comes from a mapping that is merged in")


def replaced(text: str, login: FileLogin, reference: CredentialReference) -> str:
    """The text with a reference in the place of a value; in quotes, which YAML and JSON share."""
    return f'{text[: login.start]}"{reference}"{text[login.end :]}'


def _pairs(node: Node | None) -> Iterator[tuple[ScalarNode, Node]]:
    if isinstance(node, MappingNode):
        yield from ((key, value) for key, value in node.value if isinstance(key, ScalarNode))


def _login(block: str, key: ScalarNode, node: Node) -> FileLogin | None:
    if not isinstance(node, ScalarNode) or str(node.tag).endswith(":null") or not node.value:
        return None
    written = str(node.value)
    is_plain = not (mentions_credential(written) or has_variables(written))
    obstacle = ""
    if node.start_mark.index < key.end_mark.index or node.anchor is not None:
        obstacle = "it is an anchor or an alias of YAML"
    elif node.style in ("|", ">"):
        obstacle = "it is written over several lines"
    return FileLogin(
        where=f"{block}.{key.value}",
        line=key.start_mark.line + 1,
        key=_KEYS[str(key.value)],
        start=node.start_mark.index,
        end=node.end_mark.index,
        value=Secret(written) if is_plain else None,
        obstacle=obstacle,
    )
