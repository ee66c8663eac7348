"""The Celery application for a Flower that a test starts: `celery -A tests.security.flower_app`."""

from __future__ import annotations

import os

from siteferry.broker import make_broker
from siteferry.secret import Secret

password = os.environ["FLOWER_TEST_PASSWORD"]
app = make_broker(
    os.environ["FLOWER_TEST_REDIS"],
    username=os.environ["FLOWER_TEST_USERNAME"] or None,
    password=Secret(password) if password else None,
).app
