"""Measurements against other clients, on real servers: `python -m benchmarks` (or `make bench`)."""
