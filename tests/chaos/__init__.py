"""What goes wrong in production, with real parts; mode.py says what is short and what is long."""
