"""How quiet and how fast trip rules are, on simulated traffic with fixed seeds."""
