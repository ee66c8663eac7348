"""Whether tests that can take any time are to take it: SITEFERRY_LONG_TESTS=1."""

from __future__ import annotations

import os

LONG = os.environ.get("SITEFERRY_LONG_TESTS") == "1"
EXTENT = "SITEFERRY_LONG_TESTS=1 takes more"
