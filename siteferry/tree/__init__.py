"""Trees of files as facts: what is found locally, what was published, what differs. No network."""
