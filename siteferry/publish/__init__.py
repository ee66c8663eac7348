"""Staged files take their places: conflicts looked for, journal written, renames in bursts."""
