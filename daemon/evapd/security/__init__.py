"""Keys, roles and who is let in."""
