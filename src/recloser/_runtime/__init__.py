"""State, lock and calls: everything that acts on what the rules decide."""
