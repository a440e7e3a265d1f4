"""`evapd new-driver`: a package of its own with driver, simulated instrument and tests, which passes the conformance kit as made."""

from evapd.scaffold.make import kinds, make_driver

__all__ = ["kinds", "make_driver"]
