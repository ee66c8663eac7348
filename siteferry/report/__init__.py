"""What a user sees of a run: counts, rates and failures of one snapshot, as text, JSON or a bar.

Counting is done in the ledger and printing here; `figures` and `outcome` are arithmetic over a
snapshot, and each printer only arranges what they give.
"""
