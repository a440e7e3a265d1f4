"""Disturbances and faults of the twin: what each is, when it comes, and what it does to plant, physics, instrument or cable."""
