"""The producer: starts runs, and plans them into directory and file items."""
