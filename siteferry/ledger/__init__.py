"""The run ledger: what is to be done, who does it, what became of it. Redis keys: `keys.py`."""
