"""Control laws: pure, in virtual time."""
