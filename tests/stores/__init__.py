"""Credential stores under test, one file for each kind, behind one contract (`base.Stand`).

What stands for a server that cannot be had here says `double` in its name.
"""
