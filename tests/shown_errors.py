"""What may be seen of an error, to search it for secrets."""

from __future__ import annotations

import traceback


def everything_shown(error: BaseException) -> str:
    """Its traceback with its causes, its `repr` and its text."""
    return "".join(traceback.format_exception(error)) + repr(error) + str(error)
