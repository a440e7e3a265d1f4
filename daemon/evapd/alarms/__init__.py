"""Tells people when something is wrong: rules of escalation and the hooks that reach them."""
