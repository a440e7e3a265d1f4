"""Journal, recovery, finalising."""
