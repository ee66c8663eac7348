"""docs/containers.md says what the compose file does, and its commands destroy nothing."""

from __future__ import annotations

import re

from tests.installation import REPOSITORY

TEXT = (REPOSITORY / "docs/containers.md").read_text()
BLOCKS = re.findall(r"^```\w*\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
COMMANDS = [line for block in BLOCKS for line in block.splitlines() if "docker" in line]


def test_no_command_writes_over_the_secrets_that_are_there() -> None:
    writing = [line for line in COMMANDS if re.search(r"[^>]> secrets/", line)]
    assert writing
    for line in writing:
        assert "set -C; " in line, line
