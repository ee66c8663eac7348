"""The Celery application for a Flower that a test starts: `celery -A tests.security.flower_app`."""

from __future__ import annotations

import os

from siteferry.broker import make_broker

app = make_broker(os.environ["FLOWER_TEST_REDIS"]).app
