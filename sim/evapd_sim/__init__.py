"""The simulated atom probe: physics, and one byte-level instrument behind every driver."""
