"""What an IPv4 packet with TCP in it says, in one line."""

from __future__ import annotations

import struct

_FLAGS = ((0x02, "SYN"), (0x01, "FIN"), (0x04, "RST"))
_TCP = 6
_MOST_TEXT = 100


def describe(packet: bytes, sent: bool) -> str:
    """Direction, the client's and the server's port, flags, bytes of content; and its text, where
    it is lines of a plain control connection.

    Args:
        packet: from its IP header on.
        sent: from the client to the server.
    """
    arrow = ">" if sent else "<"
    if len(packet) < 20 or packet[0] >> 4 != 4 or packet[9] != _TCP:
        return f"{arrow} something else, {len(packet)} bytes"
    tcp = packet[(packet[0] & 15) * 4 :]
    source, target = struct.unpack_from("!HH", tcp)
    flags = [name for bit, name in _FLAGS if tcp[13] & bit]
    content = tcp[(tcp[12] >> 4) * 4 :]
    if not flags and not content:
        flags = ["ACK"]
    client, server = (source, target) if sent else (target, source)
    told = " ".join([*flags, f"{len(content)} B" if content else ""]).strip()
    return f"{arrow} {client} {server} {told} {_text(content)}".rstrip()


def _text(content: bytes) -> str:
    if not content or len(content) > 8 * _MOST_TEXT or not content.endswith(b"\r\n"):
        return ""
    try:
        text = content.decode("ascii")
    except UnicodeDecodeError:
        return ""
    lines = text.splitlines()
    if not all(line.isprintable() for line in lines):
        return ""
    return "| " + " | ".join("PASS …" if s.startswith("PASS ") else s[:_MOST_TEXT] for s in lines)
