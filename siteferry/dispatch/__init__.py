"""What may run now: claims carried through to their end, heartbeats, and the sweeper."""
